"""Ways to spoil a file; each takes a source of random numbers and returns the spoilt bytes."""

import html
import json
import re

#: What stands where a number, a shape or a word should be.
NUMBERS = "0 -1 1 2 3 7 999 65536 2147483647 2147483648 4294967296 9223372036854775807 18446744073709551615".split()
WORDS = [*NUMBERS, "1e30", "nan", "-9223372036854775808", "", "?", "1..3", "..", "x", "true", "f16", "i64", "f64"]
WORDS += ["boolean", "string", "dynamic", "valid", "same_upper", "&lt;script&gt;", "&#10;", "\u202e"]
VALUES = [None, 0, -1, 1, 2, 7, 10**6, 2**63, 10**40, 1.5, "", "x", "eigen-cam", "none", "softmax", "sigmoid", True]
VALUES += ["recipro-cam", "class-probability-map", "activation-map", "detection", "segmentation", "classification"]
VALUES += [[], {}, [1], "<script>alert(1)</script>", "\u202e\n\x1b[31m"]

HEADS = [
    b'<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    b'<!DOCTYPE net SYSTEM "file:///etc/passwd">',
    b'<?xml version="1.0" encoding="utf-16"?>',
    b"\xef\xbb\xbf",
    b"\0\0\0\0",
]


def any_byte(random, data):
    """Change one byte."""
    at = random.randrange(len(data))
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def cut_off(random, data):
    """Keep the beginning."""
    return data[: random.randrange(len(data))]


def _replaced(data, found, group, text):
    return data[: found.start(group)] + text + data[found.end(group) :]


def an_attribute(random, data):
    """Give an attribute of an op another value, in one of its numbers."""
    pattern = (
        rb'<(?:data|port|attribute|layer|rt_info)\b[^>]*?\s\w+="([^"]*)"|<\w+ value="([^"]*)"|(?<=\s)\w+="([^"]*)"'
    )
    every = list(re.finditer(pattern, data))
    if not every:
        return data
    found = random.choice(every)
    group = found.lastindex
    parts = found[group].split(b",")
    at = random.randrange(len(parts))
    number = parts[at].strip().lstrip(b"-").isdigit()
    if number and random.random() < 0.6:
        parts[at] = b"%d" % (int(parts[at]) + random.choice([-2, -1, 1, 2, 100, 10**6]))
    else:
        parts[at] = random.choice(WORDS).encode()
    return _replaced(data, found, group, b",".join(parts))


def the_value_of_another(random, data):
    """Give an attribute the value of another one."""
    every = list(re.finditer(rb'="([^"]*)"', data))
    return _replaced(data, random.choice(every), 1, random.choice(every)[1]) if every else data


def a_dimension(random, data):
    """Change an extent of a port."""
    every = list(re.finditer(rb"<dim>([^<]*)</dim>", data))
    return _replaced(data, random.choice(every), 1, random.choice(NUMBERS).encode()) if every else data


def a_line_less(random, data):
    """Drop a line."""
    lines = data.splitlines(keepends=True)
    del lines[random.randrange(len(lines))]
    return b"".join(lines)


def a_line_moved(random, data):
    """Repeat a line somewhere else."""
    lines = data.splitlines(keepends=True)
    lines.insert(random.randrange(len(lines)), random.choice(lines))
    return b"".join(lines)


def a_layer_less(random, data):
    """Drop an op."""
    every = list(re.finditer(rb"<layer .*?</layer>\s*", data, re.DOTALL))
    found = random.choice(every) if every else None
    return data if found is None else _replaced(data, found, 0, b"")


def edges_crossed(random, data):
    """Let an input read what another one reads."""
    every = list(re.finditer(rb'(from-layer="\d+" from-port="\d+")', data))
    return _replaced(data, random.choice(every), 1, random.choice(every)[1]) if every else data


def another_head(random, data):
    """Put a document type, entities or nonsense in front."""
    return random.choice(HEADS) + data.partition(b"?>")[2]


OF_IR = [an_attribute] * 6 + [any_byte, the_value_of_another, a_dimension, a_line_less, a_line_moved, a_layer_less]
OF_IR += [edges_crossed, another_head, cut_off]


def spoilt_ir(random, data):
    """Return an `.xml` with one fault or a few."""
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        data = random.choice(OF_IR)(random, data) or b"<net"
    return data


def spoilt_bytes(random, data):
    """Return bytes of which some are others, some are missing, or there are more of."""
    kind = random.randrange(4)
    if kind == 0:
        return cut_off(random, data)
    if kind == 1:
        return data + data
    spoilt = bytearray(data)
    for _ in range(random.choice([1, 2, 5, 50])):
        spoilt[random.randrange(len(spoilt))] = random.choice([0, 255, 127, 128, 1, random.randrange(256)])
    return bytes(spoilt)


def _places(record):
    items = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    for key, value in items:
        yield record, key
        yield from _places(value)


def spoil_record(random, record):
    """Change or drop one or two values of a JSON object."""
    for _ in range(random.choice([1, 1, 2])):
        holder, key = random.choice(list(_places(record)))
        if random.random() < 0.2:
            del holder[key]
        else:
            holder[key] = random.choice(VALUES)


def spoilt_manifest(random, xml):
    """Return the `.xml` of a patched model with another manifest."""
    found = re.search(rb'<manifest value="([^"]*)"', xml)
    record = json.loads(html.unescape(found[1].decode()))
    spoil_record(random, record)
    text = json.dumps(record)
    text = random.choice([text] * 12 + [text[: len(text) // 2], "[" * 100000, "{}", "[]", "null", "\ufffd"])
    return _replaced(xml, found, 1, html.escape(text).encode())
