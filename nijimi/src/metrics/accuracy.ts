/** Top-k accuracy of a classifier, streaming. */
import { NijimiError } from "../errors.ts";
import { toFloat64 } from "../tensor/convert.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { matrixOf } from "./matrix.ts";
import type { StreamingMetric } from "./streaming.ts";

/** Scores with what is right. */
export interface LabelledScores {
  /** [N, classes]: logits or probabilities. */
  readonly scores: Tensor;
  /** [N] class indices. */
  readonly labels: Tensor;
}

export interface AccuracyState {
  count: number;
  /** Per k: samples whose class is among the k best. */
  hits: number[];
}

/** Top-k accuracies by name, `{ top1, top5 }` for `[1, 5]`. Among equal scores the lower class index is better. */
export function topKAccuracy(
  ks: readonly number[] = [1, 5],
): StreamingMetric<LabelledScores, AccuracyState, Readonly<Record<string, number>>> {
  return {
    start: () => ({ count: 0, hits: ks.map(() => 0) }),
    add: (state, { scores, labels }) => {
      const { rows, columns, data } = matrixOf(scores, "scores");
      const wanted = toFloat64(labels);
      if (wanted.length !== rows)
        throw new NijimiError(
          "shape",
          `accuracy: got ${rows} rows of scores and ${wanted.length} labels.`,
        );
      for (let i = 0; i < rows; i++) {
        const label = wanted[i];
        if (!Number.isInteger(label) || label < 0 || label >= columns)
          throw new NijimiError(
            "option",
            `accuracy: label ${label} of sample ${i} is not a class below ${columns}.`,
          );
        const own = data[i * columns + label];
        let rank = 0;
        for (let c = 0; c < columns; c++) {
          const score = data[i * columns + c];
          if (score > own || (score === own && c < label)) rank++;
        }
        ks.forEach((k, at) => (state.hits[at] += Number(rank < k)));
      }
      state.count += rows;
      return state;
    },
    merge: (a, b) => ({
      count: a.count + b.count,
      hits: a.hits.map((hit, at) => hit + b.hits[at]),
    }),
    finish: ({ count, hits }) =>
      Object.fromEntries(ks.map((k, at) => [`top${k}`, count === 0 ? NaN : hits[at] / count])),
  };
}
