import lzma
import tempfile
import unittest
from pathlib import Path

from bench.xz_blocks import encoded, number, read_blocks, write_blocks
from common.failure import Failure


class XzBlocksTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.one, self.other = Path(folder.name, "one.xz"), Path(folder.name, "other.xz")
        self.image = bytes(range(256)) * 301
        self.one.write_bytes(lzma.compress(self.image))

    def test_a_file_of_blocks_of_another_one_is_sound(self):
        blocks = read_blocks(self.one)
        self.assertEqual([block.image for block in blocks], [len(self.image)])
        write_blocks(self.one, blocks * 5, self.other)
        self.assertEqual(lzma.decompress(self.other.read_bytes()), self.image * 5)
        made = read_blocks(self.other)
        self.assertEqual([block.unpadded for block in made], [blocks[0].unpadded] * 5)
        write_blocks(self.other, made[3:], self.one)
        self.assertEqual(lzma.decompress(self.one.read_bytes()), self.image * 2)

    def test_several_streams_are_refused(self):
        self.one.write_bytes(self.one.read_bytes() * 2)
        with self.assertRaises(Failure):
            read_blocks(self.one)

    def test_numbers_of_any_length(self):
        for value in (0, 127, 128, 16_383, 16_384, 1 << 40):
            self.assertEqual(number(b"?" + encoded(value), 1), (value, 1 + len(encoded(value))))


if __name__ == "__main__":
    unittest.main()
