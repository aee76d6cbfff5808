import pyarrow as pa
import pytest

from lenspinn.catalogue.where import rows_where
from lenspinn.errors import ConfigError

TABLE = pa.table(
    {
        "z_lens": [0.2, 0.5, None, float("nan"), 0.9],
        "survey": ["Q1", "Q1", "DR1", "Q1", None],
        "good": [True, False, True, True, None],
        "number": [1, 2, 3, 4, 5],
        "nothing": pa.nulls(5),
    }
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (None, [0, 1, 2, 3, 4]),
        ("z_lens > 0.3", [1, 4]),
        ("z_lens<=0.5", [0, 1]),
        ("z_lens != 0.5", [0, 4]),
        ("z_lens > 0.1 and survey == Q1", [0, 1]),
        ("survey = 'Q1' AND number >= 2", [1, 3]),
        ("survey != Q1", [2]),
        ("good == true", [0, 2, 3]),
        ("number == 3", [2]),
        ("nothing > 3", []),
    ],
)
def test_rows_that_meet_all_conditions_are_chosen(text, rows):
    assert rows_where(TABLE, text).nonzero()[0].tolist() == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("z_lens", "is no condition"),
        ("z_lens > 0.3 or number > 1", "compares z_lens with '0.3 or number > 1'"),
        ("z_lens > 0.3 and", "is no condition"),
        ("redshift > 1", "no column of the table"),
        ("z_len > 1", "did you mean 'z_lens'"),
        ("z_lens > high", "with 'high'"),
        ("survey > A", "its values are no numbers"),
        ("good > 1", "with '1'"),
        ("__import__('os').system('x') == 1", "no column"),
    ],
)
def test_anything_else_is_refused_and_nothing_is_run(text, says):
    with pytest.raises(ConfigError, match=None) as refused:
        rows_where(TABLE, text)
    assert says in str(refused.value)
