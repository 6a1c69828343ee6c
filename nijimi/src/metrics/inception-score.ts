/**
 * Inception Score (Salimans et al. 2016, arXiv 1606.03498): exp(E KL(p(y|x) ‖ p(y))), over splits of the images.
 * It knows no reference set and says little beyond ImageNet's classes; reported because papers did.
 *
 * E KL = mean(Σ p log p) − Σ q log q with q the mean of p, so a split needs one number and one vector.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { hashRow } from "./hash.ts";
import { type Matrix, matrixOf } from "./matrix.ts";
import type { StreamingMetric } from "./streaming.ts";

export interface InceptionScore {
  readonly mean: number;
  /** Over the splits, divided by their number (ddof = 0). */
  readonly std: number;
  readonly splitScores: Float64Array;
}

/** Sums over the images of one split. */
export interface SplitState {
  count: number;
  /** Σ over images and classes of p log p. */
  negativeEntropy: number;
  /** [classes] Σ over images of p. */
  probabilities: Float64Array;
}

/**
 * Inception Score of logits [N, classes] with contiguous splits, as the published codes compute it.
 *
 * @param options.splits @default 10
 */
export function inceptionScore(
  logits: Tensor,
  { splits = 10 }: { readonly splits?: number } = {},
): InceptionScore {
  const matrix = matrixOf(logits, "logits");
  checkSplits(splits, matrix.rows);
  const states = Array.from({ length: splits }, (_, s) => {
    const state = emptySplit(matrix.columns);
    const end = Math.floor(((s + 1) * matrix.rows) / splits);
    for (let i = Math.floor((s * matrix.rows) / splits); i < end; i++) addRow(state, matrix, i);
    return state;
  });
  return summarise(states);
}

/**
 * Inception Score of a stream of logits [N, classes]. An image's split is a hash of its logits, so that the result
 * does not depend on order or on how the work was divided.
 */
export function streamingInceptionScore(
  classes: number,
  { splits = 10 }: { readonly splits?: number } = {},
): StreamingMetric<Tensor, readonly SplitState[], InceptionScore> {
  return {
    start: () => Array.from({ length: splits }, () => emptySplit(classes)),
    add: (states, batch) => {
      const matrix = matrixOf(batch, "logits");
      if (matrix.columns !== classes)
        throw new NijimiError(
          "shape",
          `logits: got ${matrix.columns} classes; expected ${classes}.`,
        );
      for (let i = 0; i < matrix.rows; i++)
        addRow(states[hashRow(matrix.data, i * classes, classes) % splits], matrix, i);
      return states;
    },
    merge: (a, b) => {
      a.forEach((state, s) => {
        state.count += b[s].count;
        state.negativeEntropy += b[s].negativeEntropy;
        b[s].probabilities.forEach((p, c) => (state.probabilities[c] += p));
      });
      return a;
    },
    finish: (states) => {
      checkSplits(splits, states.filter(({ count }) => count > 0).length);
      return summarise(states);
    },
  };
}

function checkSplits(splits: number, filled: number): void {
  if (!Number.isInteger(splits) || splits < 1 || filled < splits)
    throw new NijimiError(
      "option",
      `Inception Score: ${splits} splits need at least one image each; got ${filled}. Use fewer splits.`,
    );
}

function emptySplit(classes: number): SplitState {
  return { count: 0, negativeEntropy: 0, probabilities: new Float64Array(classes) };
}

/** Softmax of one row, counted into a split. */
function addRow(state: SplitState, { columns, data }: Matrix, row: number): void {
  const logits = data.subarray(row * columns, (row + 1) * columns);
  let largest = -Infinity;
  for (const value of logits) largest = Math.max(largest, value);
  let total = 0;
  for (const value of logits) total += Math.exp(value - largest);
  const logTotal = largest + Math.log(total);
  for (let c = 0; c < columns; c++) {
    const logP = logits[c] - logTotal;
    const p = Math.exp(logP);
    state.probabilities[c] += p;
    state.negativeEntropy += p * logP;
  }
  state.count++;
}

function summarise(states: readonly SplitState[]): InceptionScore {
  const splitScores = Float64Array.from(states, ({ count, negativeEntropy, probabilities }) => {
    let marginal = 0; // Σ q log q
    for (const sum of probabilities) if (sum > 0) marginal += (sum / count) * Math.log(sum / count);
    return Math.exp(negativeEntropy / count - marginal);
  });
  const mean = splitScores.reduce((sum, score) => sum + score, 0) / splitScores.length;
  const variance =
    splitScores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / splitScores.length;
  return { mean, std: Math.sqrt(variance), splitScores };
}
