"""A table: a small network learns to tell benign from malignant breast tumours (569 real patients, 30 columns).

Attributions of the inputs are signed bars with the names of the columns, which are in standard deviations (SD) from the
average patient: compare KernelSHAP, LIME and integrated gradients, for the same four patients, early and late. The
surrogates imitate the whole network; look at their agreement before believing the tree. The linear probes tell how well
each layer separates the two classes.
"""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch.utils.tensorboard import SummaryWriter

import layerscope

data = load_breast_cancer()
table = torch.from_numpy(StandardScaler().fit_transform(data.data)).float()  # a baseline of 0 is the average patient
diagnoses = torch.from_numpy(data.target)
columns, classes = [f"{name} (SD)" for name in data.feature_names], data.target_names.tolist()

torch.manual_seed(0)
shuffled = torch.randperm(len(table))
test, train = shuffled[:169], shuffled[169:]
model = torch.nn.Sequential(
    torch.nn.Linear(30, 32), torch.nn.ReLU(), torch.nn.Linear(32, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2)
)
optimizer = torch.optim.Adam(model.parameters())

with SummaryWriter("runs/breast_cancer") as writer, layerscope.Scope(model, writer) as scope:
    scope.graph(table[:1])
    for step in range(301):
        batch = train[torch.randint(len(train), (64,))]
        loss = torch.nn.functional.cross_entropy(model(table[batch]), diagnoses[batch])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        writer.add_scalar("loss", loss, step)
        if step in (20, 100, 300):  # untrained, it says one class of everybody: nothing for surrogates to imitate
            scope.attributions(
                table[test[:4]],
                diagnoses[test[:4]],
                step=step,
                methods=("kernel_shap", "lime", "integrated_gradients"),
                feature_names=columns,
                class_names=classes,
            )
            scope.surrogates(
                table,  # they imitate what the network says, not the diagnoses: the more patients, the better
                step=step,
                surrogates=("logistic_regression", "decision_tree", "random_forest"),
                feature_names=columns,
                output_names=classes,
            )
            scope.linear_probes(table[test], diagnoses[test], step=step)
