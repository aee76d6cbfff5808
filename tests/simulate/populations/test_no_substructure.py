from .conftest import drawn


def test_no_sub_is_empty():
    substructure = drawn("no_sub", 3)
    assert (substructure.points, substructure.halos, substructure.rods) == (None, None, None)
    assert not substructure.truth["num_subhalos"].any()
