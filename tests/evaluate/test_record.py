from lenspinn.evaluate.record import learning_record
from lenspinn.train import load_run


def test_a_record_names_the_run_the_weights_and_the_scores(run):
    trained = load_run(run)
    record = learning_record(
        trained, trained.history[0], {"accuracy": 0.5}, protocol="p", recipe="survey/hst"
    )
    assert record["model"] == "lenspinn_small"
    assert record["images_seen"] == trained.history[0]["images_seen"]
    assert record["seconds"] == round(trained.history[-1]["seconds"], 1)
    assert record["trained_on"] == "deeplense/model_3"
    assert (record["protocol"], record["recipe"]) == ("p", "survey/hst")
    assert record["accuracy"] == 0.5
