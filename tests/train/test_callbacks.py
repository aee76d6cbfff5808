import lightning
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lenspinn.errors import DataError
from lenspinn.train.callbacks import ResumeCheckpoint, best_row, read_rows
from lenspinn.train.module import ClassifierModule
from lenspinn.train.run import train_model


class FakeTrainer(lightning.Trainer):
    """10 steps an epoch, a validation every 3."""

    is_global_zero = True
    global_step = 0
    train_dataloader = None
    val_check_batch = 3
    num_training_batches = 10

    def __init__(self):
        pass

    def save_checkpoint(self, draft):
        draft.write_text("state")


def row(f1, loss):
    return {"val_micro_f1": f1, "val_loss": loss}


def test_best_row_has_the_highest_score_then_the_lowest_loss_then_comes_first():
    rows = [row(0.8, 0.1), row(0.9, 0.5), row(0.9, 0.4), row(0.9, 0.4)]
    assert best_row(rows) is rows[2]


def test_metrics_have_one_row_a_validation_with_all_scores(tiny_config):
    rows = read_rows(train_model(tiny_config, progress=False) / "metrics.csv")
    assert [row["step"] for row in rows] == [3, 6, 9, 12, 15, 18]
    assert [row["epoch"] for row in rows] == [0.5, 1, 1.5, 2, 2.5, 3]
    assert [row["images_seen"] for row in rows] == [24, 48, 72, 96, 120, 144]
    scores = {"train_loss", "train_accuracy", "val_loss", "val_micro_f1", "val_macro_f1"}
    assert rows[0].keys() == {
        *("epoch", "step", "images_seen", "learning_rate", "seconds"),
        *scores,
    }
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)


def test_training_scores_are_means_over_the_steps_since_the_last_row(tiny_config, monkeypatch):
    steps = []
    original = ClassifierModule.training_step

    def training_step(self, batch, batch_idx):
        output = original(self, batch, batch_idx)
        steps.append((output["loss"].detach().item(), output["correct"]))
        return output

    monkeypatch.setattr(ClassifierModule, "training_step", training_step)
    rows = read_rows(train_model(tiny_config, progress=False) / "metrics.csv")
    loss, correct = np.array(steps).reshape(6, 3, 2).sum(axis=1).T  # 6 rows of 3 steps of 8 images
    np.testing.assert_allclose([row["train_loss"] for row in rows], loss / 3, rtol=1e-6)
    np.testing.assert_allclose([row["train_accuracy"] for row in rows], correct / 24)


def test_tensorboard_log_holds_the_rows(tiny_config):
    folder = train_model(tiny_config, progress=False)
    log = EventAccumulator(str(folder / "tensorboard")).Reload()
    rows = read_rows(folder / "metrics.csv")
    events = log.Scalars("val_loss")
    assert [event.step for event in events] == [row["step"] for row in rows]
    float32 = 1e-6  # TensorBoard stores single precision
    assert [event.value for event in events] == pytest.approx(
        [row["val_loss"] for row in rows], rel=float32
    )


def test_progress_bar_counts_the_steps_of_all_epochs(tiny_config, capsys):
    train_model(tiny_config, progress=True)
    shown = capsys.readouterr().err
    assert "18/18" in shown
    assert "val_micro_f1=" in shown


@pytest.mark.parametrize(
    ("batch_idx", "global_step", "written"),
    [
        (4, 5, True),
        (3, 4, False),  # too early
        (5, 6, False),  # a validation follows
        (9, 10, False),  # the epoch ends, which writes by itself
    ],
)
def test_checkpoint_is_written_when_due_except_before_a_validation(
    tmp_path, batch_idx, global_step, written
):
    path = tmp_path / "last.ckpt"
    trainer = FakeTrainer()
    checkpoint = ResumeCheckpoint(path, every_steps=5)
    checkpoint.on_train_start(trainer, None)
    trainer.global_step = global_step
    checkpoint.on_train_batch_end(trainer, None, None, None, batch_idx)
    assert path.exists() == written


def test_death_while_a_checkpoint_is_written_leaves_the_previous_one(tmp_path):
    class DyingTrainer(FakeTrainer):
        def save_checkpoint(self, draft):
            draft.write_text("half of the new st")
            raise SystemExit

    path = tmp_path / "last.ckpt"
    path.write_text("previous state")
    with pytest.raises(SystemExit):
        ResumeCheckpoint(path, every_steps=1).on_train_epoch_end(DyingTrainer(), None)
    assert path.read_text() == "previous state"


GOOD = "epoch,step,images_seen,val_loss,val_micro_f1,seconds\n1.0,4,32,0.5,0.7,2.0\n"


def test_rows_are_read(tmp_path):
    (tmp_path / "metrics.csv").write_text(GOOD)
    assert read_rows(tmp_path / "metrics.csv")[0]["val_micro_f1"] == 0.7


@pytest.mark.parametrize(
    "content",
    [
        "",
        GOOD.splitlines()[0],
        GOOD.replace("0.7", "nan"),
        GOOD.replace("0.7", "high"),
        GOOD.replace(",0.7", ""),
        GOOD.replace("0.7", "0.7,0.8"),
        GOOD.replace("val_loss", "loss"),
        "\x00" * 100,
    ],
)
def test_damaged_scores_are_refused(tmp_path, content):
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(DataError, match=r"metrics\.csv .*: copy the run folder again"):
        read_rows(tmp_path / "metrics.csv")
