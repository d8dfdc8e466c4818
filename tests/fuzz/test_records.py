"""Records of an earlier run that are not what a run writes."""

import json

from hypothesis import strategies as st

from tests.fuzz import mutations
from tests.fuzz.bench import check, require_order, short_and_long

EXPLAIN = "explain -m m.xml -i {photo} -o out --classes all --report"
LINES = [
    b"[" * 100000,
    b"{}",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"path": []}',
    b'{"path": {"a": 1}, "error": 2}',
    b"\0",
    b"1e999",
]


@short_and_long(10, 100)
def test_spoilt_records_are_kept_or_made_again(worker, models, photo, tmp_path, cases):
    for path, data in zip(("m.xml", "m.bin"), models["patched_mean"], strict=True):
        (tmp_path / path).write_bytes(data)
    command = EXPLAIN.format(photo=photo).split()
    assert worker.run(command, tmp_path).code == 0
    records = tmp_path / "out" / "explanations.jsonl"
    whole = records.read_bytes()

    @check(cases, random=st.randoms(use_true_random=False), line=st.sampled_from([None, *LINES]))
    def _(random, line):
        record = json.loads(whole)
        mutations.spoil_record(random, record)
        records.write_bytes((line or b"") + b"\n" + json.dumps(record).encode() + b"\n")
        outcome = worker.run([*command, "--resume"], tmp_path)
        require_order(outcome)
        assert outcome.code == 0, outcome.err
        records.write_bytes(whole)
