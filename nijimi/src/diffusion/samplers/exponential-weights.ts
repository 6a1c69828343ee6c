/**
 * Integrals behind exponential multistep methods (DEIS, SA-Solver): ∫₀ʰ e^{−cu}·L_i(u) du for the
 * Lagrange polynomials L_i through given nodes, where u = λ' − λ counts back from the target level.
 */

/** The integrals, one per node. `nodes` are the u of the answers; `h` is finite. */
export function exponentialWeights(c: number, h: number, nodes: readonly number[]): number[] {
  const moments = exponentialMoments(c, h, nodes.length);
  return nodes.map((_, i) =>
    lagrangeCoefficients(nodes, i).reduce((sum, a, k) => sum + a * moments[k], 0),
  );
}

/** ∫₀ʰ uᵏ·e^{−cu} du for k < count. */
function exponentialMoments(c: number, h: number, count: number): number[] {
  if (Math.abs(c * h) < 1)
    return Array.from({ length: count }, (_, k) => quadrature((u) => u ** k * Math.exp(-c * u), h));
  const moments = [-Math.expm1(-c * h) / c];
  for (let k = 1; k < count; k++)
    moments.push((k * moments[k - 1] - h ** k * Math.exp(-c * h)) / c); // by parts
  return moments;
}

/** Coefficients, constant first, of the polynomial that is 1 at nodes[i] and 0 at the others. */
function lagrangeCoefficients(nodes: readonly number[], i: number): number[] {
  let polynomial = [1];
  nodes.forEach((node, j) => {
    if (j === i) return;
    const scale = 1 / (nodes[i] - node);
    polynomial = [0, ...polynomial].map(
      (shifted, k) => scale * (shifted - node * (polynomial[k] ?? 0)),
    );
  });
  return polynomial;
}

/** Gauss–Legendre with six nodes over [0, h]: exact to degree 11. */
function quadrature(f: (u: number) => number, h: number): number {
  return GAUSS_LEGENDRE_6.reduce(
    (sum, [x, w]) => sum + (w * h * (f((h * (1 + x)) / 2) + f((h * (1 - x)) / 2))) / 2,
    0,
  );
}

const GAUSS_LEGENDRE_6 = [
  [0.2386191860831969, 0.46791393457269104],
  [0.6612093864662645, 0.3607615730481386],
  [0.932469514203152, 0.17132449237917036],
] as const;
