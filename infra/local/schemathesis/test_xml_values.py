import unittest

from xml_values import Reader, Undescribed

SCHEMAS = {
    "Job": {
        "type": "object",
        "xml": {"name": "job"},
        "properties": {
            "name": {"type": "integer", "xml": {"attribute": True}},
            "user": {"$ref": "#/components/schemas/User"},
            "try": {"type": "array", "items": {"type": "integer"}},
        },
    },
    "Jobs": {"type": "array", "xml": {"name": "jobs", "wrapped": True}, "items": {"$ref": "#/components/schemas/Job"}},
    "User": {"type": "string"},
}
READER = Reader({"components": {"schemas": SCHEMAS}})


def read(document, *names):
    alternatives = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return READER.read(document, alternatives[0] if len(names) == 1 else {"oneOf": alternatives})


class XmlValues(unittest.TestCase):
    def test_attributes_and_children_are_properties(self):
        self.assertEqual(read('<job name="7">\n  <user>t&amp;m</user>\n</job>', "Job"), {"name": 7, "user": "t&m"})
        self.assertEqual(read("<job><try>1</try><try>2</try></job>", "Job"), {"try": [1, 2]})
        self.assertEqual(read("<job><user /></job>", "Job"), {"user": ""})

    def test_a_list_has_elements_of_one_name(self):
        self.assertEqual(read('<jobs>\n  <job name="2" />\n  <job name="1" />\n</jobs>', "Jobs"), [{"name": 2}, {"name": 1}])
        self.assertEqual(read("<jobs>\n</jobs>", "Jobs"), [])

    def test_the_root_chooses_the_alternative(self):
        self.assertEqual(read("<jobs />", "Job", "Jobs"), [])
        self.assertEqual(read("<job />", "Job", "Jobs"), {})

    def test_what_is_no_integer_stays_text_which_the_schema_refuses(self):
        self.assertEqual(read('<job name="7a" />', "Job"), {"name": "7a"})

    def test_what_is_not_described_is_refused(self):
        for document, reason in [
            ("<other />", "the element is <other>, not job"),
            ("<job><other /></job>", "<job> has children that are not described: {'other'}"),
            ("<job><name>7</name></job>", "<job> has children that are not described: {'name'}"),
            ('<job user="tom" />', "<job> has attributes that are not described: {'user'}"),
            ('<job><user id="1" /></job>', "<user> has attributes that are not described: {'id': '1'}"),
            ("<job>text</job>", "<job> has text that is not described: text"),
            ("<job><user />text</job>", "<job> has text that is not described: text"),
            ("<job><user /><user /></job>", "<job> has two children <user>"),
        ]:
            with self.subTest(document), self.assertRaises(Undescribed) as refused:
                read(document, "Job")
            self.assertEqual(str(refused.exception), reason)


if __name__ == "__main__":
    unittest.main()
