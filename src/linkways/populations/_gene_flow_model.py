"""What gene flow rests on: backward migration, genes at the start, recursion, simulation, coalescence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, MissingExtra
from linkways.method import progress
from linkways.spatial import note

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._viability_tables import Dispersal

__all__ = ["Genes", "Simulated", "backward", "coalescence", "expected", "genes_of", "simulated"]

ID = "populations.gene_flow"
BLOCK = 10
MOST_COALESCENT = 40


def backward(dispersal: "Dispersal", size: np.ndarray, names: list[str], direction: str) -> np.ndarray:
    """(P, D, D): the probability that a gene in the row's population was in the column's a generation ago."""
    stay = 1.0 - dispersal.rates.sum(axis=1 if direction == "backward" else 2)
    full = dispersal.rates + stay[:, :, None] * np.eye(len(size))
    if direction == "backward":
        return np.asarray(np.clip(np.swapaxes(full, 1, 2), 0.0, 1.0))
    arriving = np.swapaxes(full * size[None, :, None], 1, 2)
    total = arriving.sum(axis=2, keepdims=True)
    if (total <= 0).any():
        empty = names[int(np.argwhere(total[:, :, 0] <= 0)[0, 1])]
        raise LinkwaysError(
            f"{ID}: everybody leaves population '{empty}' and nobody arrives; lower the rates out of it"
        )
    return np.asarray(arriving / total)


@dataclass(frozen=True)
class Genes:
    """The genes at the start: identity of pairs (D, D), and running sums of frequencies (loci, D, alleles)."""

    identity: np.ndarray
    frequencies: np.ndarray
    loci: int


def genes_of(genotypes: "pd.DataFrame | None", names: list[str], loci: int) -> Genes:
    """Genes of their own for everybody, or the allele frequencies of genotyped populations."""
    from linkways.populations._gene_counts import genotypes_of

    count = len(names)
    if genotypes is None:
        return Genes(np.zeros((count, count)), np.zeros((loci, count, 0)), loci)
    read = genotypes_of(ID, genotypes, ())
    absent = [n for n in names if n not in read.populations]
    if absent:
        raise LinkwaysError(
            f"{ID}: genotypes has no individual of population '{absent[0]}'; add some, or leave genotypes out"
        )
    rows = [read.populations.index(n) for n in names]
    used = [k for k in range(len(read.loci)) if (read.typed[k, rows] > 0).all() and len(read.names[k]) > 1]
    if not used:
        raise LinkwaysError(f"{ID}: no locus of genotypes varies and is typed in every population; add some")
    if len(used) < len(read.loci):
        note(f"{ID}: {len(read.loci) - len(used)} loci do not vary or are not typed everywhere and are left out")
    most = max(len(read.names[k]) for k in used)
    shares = np.zeros((len(used), count, most))
    for place, k in enumerate(used):
        counts = read.counts[k][rows]
        shares[place, :, : counts.shape[1]] = counts / counts.sum(axis=1, keepdims=True)
    identity = np.einsum("lia,lja->ij", shares, shares) / len(used)
    return Genes(identity, np.cumsum(shares, axis=2), len(used))


def expected(genes: Genes, rates: np.ndarray, period: np.ndarray, size: np.ndarray, mutation: float) -> np.ndarray:
    """Identity of two genes in every generation, (T + 1, D, D), by the exact recursion."""
    from linkways.populations._gene_flow_kernels import identity_after

    out = np.empty((len(period) + 1, len(size), len(size)))
    out[0] = genes.identity
    for t, p in enumerate(period):
        out[t + 1] = identity_after(out[t], rates[p], size, mutation)
    return out


@dataclass(frozen=True)
class Simulated:
    """Replicates at the reported generations: identity (R, G, D, D), observed (R, G, D), alleles (R, G, D + 1)."""

    identity: np.ndarray
    observed: np.ndarray
    alleles: np.ndarray


def simulated(
    genes: Genes,
    rates: np.ndarray,
    period: np.ndarray,
    size: np.ndarray,
    mutation: float,
    report: np.ndarray,
    *,
    replicates: int,
    seed: int,
    share: tuple[float, float],
) -> Simulated:
    """Forward simulation of individuals, replicates side by side."""
    from linkways.workers import each

    whole = np.append(0, np.cumsum(size.astype(np.int64)))
    setting = {
        "start": whole,
        "cumulative": np.cumsum(rates, axis=2),
        "period": period,
        "frequencies": genes.frequencies,
        "mutation": mutation,
        "report": report,
        "loci": genes.loci,
    }
    seeds = np.random.default_rng(seed).integers(0, 2**63, replicates, dtype=np.uint64)
    parts = []
    blocks = [seeds[i : i + BLOCK] for i in range(0, replicates, BLOCK)]
    for block in each(_block, setting, blocks):
        parts.append(block)
        progress(share[0] + (share[1] - share[0]) * len(parts) / len(blocks), "simulating generations")
    return Simulated(*(np.concatenate(one) for one in zip(*parts, strict=True)))


def _block(setting: dict[str, Any], seeds: np.ndarray) -> tuple[np.ndarray, ...]:
    from linkways.populations._gene_flow_kernels import simulate_generations

    reports, count = int(setting["report"].sum()), len(setting["start"]) - 1
    identity = np.zeros((len(seeds), reports, count, count))
    observed = np.zeros((len(seeds), reports, count))
    alleles = np.zeros((len(seeds), reports, count + 1))
    simulate_generations(seeds, *setting.values(), identity, observed, alleles)
    return identity, observed, alleles


def coalescence(
    names: list[str], rates: np.ndarray, size: np.ndarray, replicates: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean generations back to the common ancestor of two genes, (D, D), and its standard error, by msprime."""
    try:
        import msprime
    except ImportError:
        raise MissingExtra("msprime", "populations", "coalescent simulation in populations.gene_flow") from None
    _refuse_parted(names, rates)
    count = len(names)
    demography = msprime.Demography.isolated_model(size.tolist())
    for i in range(count):
        for k in range(count):
            if i != k:
                # msprime's source is where a lineage is, its dest where it was a generation ago
                demography.set_migration_rate(source=f"pop_{i}", dest=f"pop_{k}", rate=float(rates[i, k]))
    samples = {f"pop_{d}": 1 for d in range(count)}
    runs = msprime.sim_ancestry(
        samples, demography=demography, num_replicates=replicates, random_seed=1 + seed % (2**31 - 2), ploidy=2
    )
    total, squares = np.zeros((count, count)), np.zeros((count, count))
    for done, trees in enumerate(runs):
        times = _pair_times(trees.first(), count)
        total += times
        squares += times**2
        progress(0.8 + 0.2 * done / replicates, "coalescent simulation")
    mean = total / replicates
    return mean, np.sqrt(np.maximum(squares / replicates - mean**2, 0.0) / max(replicates - 1, 1))


def _pair_times(tree: Any, count: int) -> np.ndarray:
    """Time to the common ancestor of pairs of genes, samples 2 d and 2 d + 1 being those of population d."""
    out = np.empty((count, count))
    for i in range(count):
        out[i, i] = tree.tmrca(2 * i, 2 * i + 1)
        for j in range(i):
            out[i, j] = out[j, i] = np.mean([tree.tmrca(2 * i + a, 2 * j + b) for a in range(2) for b in range(2)])
    return out


def _refuse_parted(names: list[str], rates: np.ndarray) -> None:
    """Two genes must be able to meet: some population must be an origin of both, however far back."""
    if len(names) > MOST_COALESCENT:
        raise LinkwaysError(
            f"{ID}: coalescent simulation of all pairs of {len(names)} populations is too much; set "
            "coalescent_replicates to "
            f"0, or give at most {MOST_COALESCENT}"
        )
    reach = np.linalg.matrix_power((rates > 0).astype(float) + np.eye(len(names)), len(names)) > 0
    for i in range(len(names)):
        apart = np.flatnonzero(~(reach[i] & reach).any(axis=1))
        if len(apart):
            raise LinkwaysError(
                f"{ID}: genes of '{names[i]}' and '{names[int(apart[0])]}' have no common ancestor at these "
                "rates, so their "
                "coalescence time is infinite; let them exchange migrants, or set coalescent_replicates to 0"
            )


def effective_size(diversity: Sequence[float] | np.ndarray) -> np.ndarray:
    """Size of an ideal population that loses diversity as fast, 1 / (2 (1 - H_t+1 / H_t)); NaN where none is lost."""
    h = np.asarray(diversity, float)
    out = np.full(h.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = 1 - h[1:] / h[:-1]
        out[1:] = np.where(lost > 1e-15, 1 / (2 * lost), np.nan)
    return out
