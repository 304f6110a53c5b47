"""The beginner's way with the Trainer of transformers: fine-tune BERT for sentiment, score it, predict with it.

    python trainer_guide.py MODEL TRAIN.csv VALIDATION.csv TEST.csv OUTPUT

MODEL is a BERT folder or Hub id. The CSV files have the columns text and label, a whole number from 0. Needs torch,
transformers, accelerate and scikit-learn; matplotlib draws the confusion matrix where it is installed.
"""

import csv
import sys

import numpy as np
import torch
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    precision_recall_fscore_support,
)
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    pipeline,
    set_seed,
)

SEED = 42
LABELS = ["negative", "positive"]


class Reviews(torch.utils.data.Dataset):
    def __init__(self, path, tokenizer):
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.labels = [int(row["label"]) for row in rows]
        self.tokens = tokenizer([row["text"] for row in rows], truncation=True, max_length=512)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        return {**{name: values[row] for name, values in self.tokens.items()}, "labels": self.labels[row]}


def compute_metrics(evaluation):
    predicted = np.argmax(evaluation.predictions, axis=-1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        evaluation.label_ids, predicted, average="weighted", zero_division=0
    )
    accuracy = accuracy_score(evaluation.label_ids, predicted)
    return {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1}


def draw(matrix, path):
    try:
        from sklearn.metrics import ConfusionMatrixDisplay

        ConfusionMatrixDisplay(matrix, display_labels=LABELS).plot().figure_.savefig(path)
    except ImportError:
        print("matplotlib is not installed, so the confusion matrix is only printed")


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    model_name, train_path, validation_path, test_path, output = sys.argv[1:]
    set_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(model_name)
    model = AutoModelForSequenceClassification.from_pretrained(
        model_name,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={name: index for index, name in enumerate(LABELS)},
    )
    arguments = TrainingArguments(
        output_dir=output,
        learning_rate=2e-5,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=32,
        num_train_epochs=3,
        weight_decay=0.01,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        seed=SEED,
    )
    test = Reviews(test_path, tokenizer)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Reviews(train_path, tokenizer),
        eval_dataset=Reviews(validation_path, tokenizer),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
    )
    trainer.train()

    result = trainer.predict(test)
    print(result.metrics)
    predicted = np.argmax(result.predictions, axis=-1)
    print(classification_report(test.labels, predicted, target_names=LABELS, digits=4, zero_division=0))
    matrix = confusion_matrix(test.labels, predicted)
    print(matrix)
    draw(matrix, f"{output}/confusion_matrix.png")

    trainer.save_model(output)
    classify = pipeline("text-classification", model=output, top_k=None)
    for text in ["A warm, funny and quietly brave film.", "I want my evening back."]:
        print(text, classify(text))


if __name__ == "__main__":
    main()
