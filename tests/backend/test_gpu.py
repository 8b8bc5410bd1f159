"""For a GPU build of llama-cpp-python: pytest -m gpu. Layers on the GPU, the rest of hd_edge as it is."""

from __future__ import annotations

import numpy as np
import pytest

from hd_edge import ExactModeError, Llama, _native
from hd_edge.backend import api as backend

pytestmark = pytest.mark.gpu
NEAR = 0.02  # standard deviations of a row: what kernels of several widths round differently


@pytest.fixture(scope="module")
def llm(models):
    if not backend.has_gpu():
        pytest.skip("this llama-cpp-python has no GPU backend")
    with Llama(str(models("Q4_0")), n_gpu_layers=-1, store=None, statistics=None, n_ctx=1024) as llm:
        yield llm


def test_rows_of_a_tree_are_those_of_its_paths(llm):
    """Each node sees its ancestors and nothing else, within what kernels of several widths round differently."""
    prompt = list(range(300, 340))
    tree = _native.DraftTree()
    for token, parent in ((341, -1), (342, 0), (343, 1), (344, 1), (345, 0), (346, 4)):
        tree.add(token, parent)
    llm.reset()
    llm._verifier.begin(0)
    llm.eval(prompt)
    llm._verifier.begin(len(prompt))
    assert llm._verifier.decode(np.array([341], np.int32), tree) == 0
    rows = [llm._verifier.logits(node).copy() for node in range(len(tree))]
    assert llm._verifier.commit(np.array([0, 4, 5], np.int32)) == 1  # the others do not follow it in the batch
    assert llm.verifier.check_integrity() == ""
    llm._verifier.release(0)
    far = []  # the largest difference of each row
    for node, row in enumerate(rows):
        path, at = [], node
        while at >= 0:
            path.append(int(tree.token[at]))
            at = int(tree.parent[at])
        llm.n_tokens = 0
        llm.eval(prompt + path[::-1])
        alone = np.ctypeslib.as_array(llm._ctx.get_logits(), shape=(llm.n_vocab(),))
        far.append(float(np.max(np.abs(row - alone)) / np.std(alone)))
    assert max(far) < NEAR, far
    llm._verifier.begin(0)
    llm.reset()


def test_drafts_are_made_and_the_cost_is_measured(llm):
    prompt = list(range(300, 330)) * 6
    tokens = [token for token, _ in zip(llm.generate(prompt, temp=0.0), range(200), strict=False)]
    assert len(tokens) == 200
    assert llm._planner.cost.known
    assert llm.verifier.check_integrity() == ""


def test_no_exact_mode_on_a_gpu(models, llm):
    with pytest.raises(ExactModeError):
        Llama(str(models("Q4_0")), n_gpu_layers=-1, exact=True, store=None, n_ctx=256)
