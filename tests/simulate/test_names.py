from lenspinn.simulate.catalogue import RECIPES
from lenspinn.simulate.names import SUMMARIES, describe_recipes, list_recipes


def test_the_names_are_those_of_the_recipes_with_their_summaries():
    assert {name: recipe.summary for name, recipe in RECIPES.items()} == SUMMARIES


def test_every_recipe_is_described_in_a_line():
    lines = describe_recipes()
    assert [line.split()[0] for line in lines] == list_recipes() == sorted(list_recipes())
    assert all(len(line.split()) > 3 for line in lines)
