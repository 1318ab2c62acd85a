"""The supervised baseline: classification of identities."""

from __future__ import annotations

import math

import pytest
import torch
from mmdet.registry import MODELS

from clmot_qd.errors import InputError
from clmot_qd.models.losses import IdentityClassifier


@pytest.fixture
def classifier() -> IdentityClassifier:
    torch.manual_seed(0)
    return IdentityClassifier(num_ids=5, embed_channels=4)


def test_mean_cross_entropy_of_those_with_an_identity(classifier: IdentityClassifier) -> None:
    embeds, ids = torch.randn(6, 4), torch.tensor([1, 5, 0, 3, -1, 5])
    terms = []
    for embed, identity in zip(embeds, ids.tolist()):
        if identity > 0:
            scaled = math.sqrt(2) * math.log(4) * embed / embed.norm()
            logits = classifier.classifier.weight @ scaled + classifier.classifier.bias
            terms.append(-logits.log_softmax(0)[identity - 1])
    torch.testing.assert_close(classifier(embeds, ids), torch.stack(terms).mean())


def test_length_of_an_embedding_does_not_matter(classifier: IdentityClassifier) -> None:
    embeds, ids = torch.randn(3, 4), torch.tensor([1, 2, 3])
    torch.testing.assert_close(classifier(7 * embeds, ids), classifier(embeds, ids))


@pytest.mark.parametrize("ids", [[], [0, -1]])
def test_nobody_with_an_identity(classifier: IdentityClassifier, ids: list[int]) -> None:
    embeds = torch.randn(len(ids), 4, requires_grad=True)
    value = classifier(embeds, torch.tensor(ids, dtype=torch.long))
    value.backward()
    assert value == 0
    # Zero gradients, not missing ones: distributed training waits for every parameter.
    assert all((part.grad == 0).all() for part in (embeds, *classifier.parameters()))


def test_it_learns_unlike_in_the_release(classifier: IdentityClassifier) -> None:
    embeds, ids = torch.eye(4), torch.tensor([1, 2, 3, 4])
    optimizer = torch.optim.SGD(classifier.parameters(), lr=1.0)
    before = classifier(embeds, ids).item()
    for _ in range(50):
        optimizer.zero_grad()
        classifier(embeds, ids).backward()
        optimizer.step()
    assert classifier(embeds, ids).item() < 0.2 * before


def test_frozen_classifier_still_teaches_the_embeddings() -> None:
    classifier = IdentityClassifier(num_ids=5, embed_channels=4, frozen=True)
    embeds = torch.randn(2, 4, requires_grad=True)
    classifier(embeds, torch.tensor([1, 2])).backward()
    assert embeds.grad.abs().sum() > 0
    assert not any(part.requires_grad for part in classifier.parameters())


def test_half_precision(classifier: IdentityClassifier) -> None:
    embeds, ids = torch.randn(3, 4).bfloat16(), torch.tensor([1, 2, 3])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = classifier(embeds, ids)
    assert torch.equal(value, classifier(embeds.float(), ids))


def test_config_and_weight() -> None:
    config = {"type": "IdentityClassifier", "num_ids": 2, "embed_channels": 3, "emb_scale": 4.0}
    plain, doubled = MODELS.build(config), MODELS.build({**config, "loss_weight": 2.0})
    doubled.load_state_dict(plain.state_dict())
    embeds, ids = torch.randn(2, 3), torch.tensor([1, 2])
    torch.testing.assert_close(doubled(embeds, ids), 2 * plain(embeds, ids))


def test_identity_beyond_num_ids_is_named(classifier: IdentityClassifier) -> None:
    with pytest.raises(InputError, match=r"identity 6 in the training data.*num_ids=5"):
        classifier(torch.randn(2, 4), torch.tensor([6, 1]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_ids": 2}, "num_ids=2 has no 'auto' scale"),
        ({"num_ids": 9, "emb_scale": "big"}, "must be 'auto' or a positive number, not 'big'"),
        ({"num_ids": 9, "emb_scale": 0}, "must be 'auto' or a positive number, not 0"),
    ],
)
def test_wrong_scale(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        IdentityClassifier(embed_channels=4, **arguments)
