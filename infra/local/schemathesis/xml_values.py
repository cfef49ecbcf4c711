"""Reads XML into the values that a schema of OpenAPI describes, by its `xml` objects (OpenAPI 3.1, "XML Object").

Schemathesis has no such reader, and does not look into answers that are XML.
"""

import re
import xml.etree.ElementTree as ElementTree

INTEGER = re.compile(r"-?[0-9]+")


class Undescribed(ValueError):
    """The document has something that the description does not have."""


class Reader:
    def __init__(self, description):
        self.description = description

    def read(self, document, schema):
        """The value of a document whose root is to be of this schema."""
        return self.element(ElementTree.fromstring(document), schema)

    def resolved(self, schema):
        while "$ref" in schema:
            found = self.description
            for key in schema["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            schema = found
        return schema

    def name(self, schema):
        return self.resolved(schema).get("xml", {}).get("name")

    def element(self, element, schema):
        """The value of an element that has to have the name of the schema."""
        schema = self.resolved(schema)
        alternatives = schema.get("oneOf", [schema])
        for alternative in alternatives:
            if self.name(alternative) == element.tag:
                return self.value(element, self.resolved(alternative))
        names = ", ".join(str(self.name(alternative)) for alternative in alternatives)
        raise Undescribed(f"the element is <{element.tag}>, not {names}")

    def value(self, element, schema):
        schema = self.resolved(schema)
        if schema.get("type") == "object":
            return self.object(element, schema)
        refuse(element, "attributes that are", dict(element.attrib))
        if schema.get("type") == "array":
            refuse(element, "text that is", (element.text or "").strip())
            return [self.element(child, schema["items"]) for child in element]
        refuse(element, "children that are", {child.tag for child in element})
        return scalar(element.text or "", schema)

    def object(self, element, schema):
        properties = {name: self.resolved(value) for name, value in schema["properties"].items()}
        attributes = {name for name, value in properties.items() if value.get("xml", {}).get("attribute")}
        refuse(element, "attributes that are", element.attrib.keys() - attributes)
        refuse(element, "children that are", {child.tag for child in element} - (properties.keys() - attributes))
        text = [element.text, *(child.tail for child in element)]
        refuse(element, "text that is", "".join(filter(None, text)).strip())
        values = {name: scalar(text, properties[name]) for name, text in element.attrib.items()}
        for child in element:
            schema = properties[child.tag]
            if schema.get("type") == "array":
                # Not wrapped: each element is an item.
                values.setdefault(child.tag, []).append(self.value(child, schema["items"]))
            elif child.tag in values:
                raise Undescribed(f"<{element.tag}> has two children <{child.tag}>")
            else:
                values[child.tag] = self.value(child, schema)
        return values


def refuse(element, what, found):
    if found:
        raise Undescribed(f"<{element.tag}> has {what} not described: {found}")


def scalar(text, schema):
    """An integer where the schema wants one and the text is one. All else is text, which the schema may refuse."""
    return int(text) if schema.get("type") == "integer" and INTEGER.fullmatch(text) else text
