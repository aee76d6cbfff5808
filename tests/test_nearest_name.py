from lenspinn.nearest_name import nearest_name


def test_the_nearest_name_or_all_are_given() -> None:
    assert nearest_name("sze", ["size", "ratio"]) == "did you mean 'size'?"
    assert nearest_name("zzz", ["size", "ratio"]) == "known are size, ratio"
