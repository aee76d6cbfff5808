"""Draw docs/images/recipes.jpg: every recipe that needs no files, one image of each class.

python docs/figures/recipes.py
"""

from pathlib import Path

from matplotlib.figure import Figure

from lenspinn.simulate import get_recipe, list_recipes, simulate_images
from lenspinn.web.gallery import draw_recipe_image

OUT = Path(__file__).resolve().parents[1] / "images" / "recipes.jpg"
CLASSES = ("axion", "cdm", "no_sub")
SEED = 4


def main() -> None:
    """Draw a row of three classes for each recipe, in two columns of recipes."""
    names = [name for name in list_recipes() if name != "survey/hst_cosmos"]
    rows = -(-len(names) // 2)
    figure = Figure(figsize=(11, 1.75 * rows + 0.3), layout="constrained", facecolor="#101014")
    panels = figure.subplots(rows, 6, squeeze=False)
    for panel in panels.ravel():
        panel.set_axis_off()
    for index, name in enumerate(names):
        row, column = index % rows, 3 * (index // rows)
        recipe = get_recipe(name)
        images, _, _ = simulate_images(recipe, 3, SEED, engine="eager")
        for label, class_name in enumerate(CLASSES):
            panel = panels[row, column + label]
            draw_recipe_image(panel, recipe, images[label, 0])
            title = f"{name}\n{class_name}" if label == 1 else f"\n{class_name}"
            panel.set_title(title, color="#e8e6e3", fontsize=8)
    figure.savefig(OUT, dpi=100, pil_kwargs={"quality": 85})
    print(OUT)


if __name__ == "__main__":
    main()
