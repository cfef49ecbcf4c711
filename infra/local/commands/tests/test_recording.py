import json
import unittest
import xml.etree.ElementTree as ElementTree

from recording.__main__ import CAST, END, LARGEST, PICTURE, draw
from recording.cast import SECRET, Line, Part, lines_of, redacted
from recording.drawing import LINE, keyframes


def cast(*events, width=20):
    head = {"version": 2, "width": width, "height": 4, "idle_time_limit": 1}
    return "\n".join(map(json.dumps, [head, *events])) + "\n"


class RecordingTest(unittest.TestCase):
    def test_the_picture_is_that_of_the_recording(self):
        self.assertEqual(draw(CAST.read_text()), PICTURE.read_text(), "run infra/local/recording --draw")

    def test_the_recording_is_of_a_demo_that_went_well_and_has_no_secret(self):
        text = "".join(part.text for line in lines_of(CAST.read_text()) for part in line.parts)
        self.assertIn(END, text)
        self.assertEqual(set(SECRET.findall(text)), {"SECRET"})
        self.assertLess(PICTURE.stat().st_size, LARGEST)


class CastTest(unittest.TestCase):
    def test_lines_have_the_time_of_their_end_without_long_pauses(self):
        read = lines_of(cast([0.5, "o", "one\r\ntw"], [60, "o", "o\r\n"]))
        self.assertEqual(read, [Line(0.5, (Part("one", False),)), Line(1.5, (Part("two", False),))])

    def test_bold_is_kept_and_all_else_of_a_terminal_is_not(self):
        (line,) = lines_of(cast([0, "o", "gone\r\x1b[K\x1b[1;32m== a\x1b[0m b\x1b]0;title\x07\x1b(B\r\n"]))
        self.assertEqual(line.parts, (Part("== a", True), Part(" b", False)))

    def test_long_lines_are_wrapped_as_in_the_terminal(self):
        read = lines_of(cast([0, "o", "abc\x1b[1mdefg\x1b[0mh\r\n\r\n"], width=4))
        texts = [[part.text for part in line.parts] for line in read]
        self.assertEqual(texts, [["abc", "d"], ["efg", "h"], []])

    def test_the_secret_of_the_stack_is_replaced(self):
        recorded = cast([0, "o", "curl http://obs:f00Bar@127.0.0.1:4580/cloudupload\r\n"])
        self.assertIn("http://obs:SECRET@127.0.0.1:4580/cloudupload", redacted(recorded))
        self.assertNotIn("f00Bar", redacted(recorded))


class DrawingTest(unittest.TestCase):
    def test_lines_come_in_from_below(self):
        lines = [Line(float(at), (Part("x", False),)) for at in (1, 2, 3, 3)]
        self.assertEqual(
            keyframes(lines, 2, 10).splitlines(),
            [
                f"0% {{ transform: translateY({2 * LINE}px) }}",
                f"10.00% {{ transform: translateY({LINE}px) }}",
                "20.00% { transform: translateY(0px) }",
                f"30.00% {{ transform: translateY({-2 * LINE}px) }}",
            ],
        )

    def test_a_picture_is_xml_whatever_was_printed(self):
        drawn = draw(cast([0, "o", "<a> & \x1b[1m\"b\"\x1b[0m\r\n"]))
        self.assertEqual("".join(ElementTree.fromstring(drawn).itertext()).split("\n")[-4], '<a> & "b"')


if __name__ == "__main__":
    unittest.main()
