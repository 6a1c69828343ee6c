/** Agreement of segmentations: Dice coefficient and intersection over union. */
import { NijimiError } from "../errors.ts";
import { toFloat64 } from "../tensor/convert.ts";
import { sizeOf, type Tensor } from "../tensor/tensor.ts";
import type { StreamingMetric } from "./streaming.ts";

export interface DiceOptions {
  /** One coefficient over all masks instead of the mean of one each. @default false */
  readonly wholeBatch?: boolean;
  /** @default 1e-6 */
  readonly eps?: number;
}

/**
 * Dice coefficient 2·Σab / (Σa + Σb) of masks [H, W] or [N, H, W] with values from 0 to 1, as in milesial's
 * Pytorch-UNet: two empty masks agree perfectly.
 */
export function diceCoefficient(a: Tensor, b: Tensor, options: DiceOptions = {}): number {
  const { wholeBatch = false, eps = 1e-6 } = options;
  const rank = a.shape.length;
  if (a.shape.join() !== b.shape.join() || rank < 2)
    throw new NijimiError(
      "shape",
      `dice: got [${a.shape}] and [${b.shape}]; expected equal shapes [N, H, W].`,
    );
  const [x, y] = [toFloat64(a), toFloat64(b)];
  const area = wholeBatch ? x.length : sizeOf(a.shape.slice(-2));
  const masks = area === 0 ? 0 : x.length / area;
  let total = 0;
  for (let m = 0; m < masks; m++) {
    let [shared, sizes] = [0, 0];
    for (let i = m * area; i < (m + 1) * area; i++) {
      shared += 2 * x[i] * y[i];
      sizes += x[i] + y[i];
    }
    total += (shared + eps) / ((sizes === 0 ? shared : sizes) + eps);
  }
  return total / masks;
}

/** Predicted and true class of every pixel: integers of equal shape. */
export interface Segmented {
  readonly predicted: Tensor;
  readonly target: Tensor;
}

export interface SegmentationScores {
  /** Intersection over union by class; NaN for a class that occurs nowhere. */
  readonly iou: readonly number[];
  /** Dice coefficient by class; NaN for a class that occurs nowhere. */
  readonly dice: readonly number[];
  /** Mean over the classes that occur. */
  readonly meanIou: number;
  readonly meanDice: number;
  readonly pixelAccuracy: number;
}

/**
 * IoU and Dice from the confusion matrix of all pixels, streaming.
 *
 * @param options.ignore label of pixels that do not count, e.g. 255
 */
export function segmentationScores(
  classes: number,
  { ignore }: { readonly ignore?: number } = {},
): StreamingMetric<Segmented, Float64Array, SegmentationScores> {
  return {
    start: () => new Float64Array(classes * classes), // [target, predicted]
    add: (confusion, { predicted, target }) => {
      const [got, wanted] = [toFloat64(predicted), toFloat64(target)];
      if (got.length !== wanted.length)
        throw new NijimiError(
          "shape",
          `segmentation: got [${predicted.shape}] and [${target.shape}].`,
        );
      for (let i = 0; i < got.length; i++) {
        if (wanted[i] === ignore) continue;
        for (const label of [got[i], wanted[i]])
          if (!Number.isInteger(label) || label < 0 || label >= classes)
            throw new NijimiError(
              "option",
              `segmentation: ${label} is not a class below ${classes}.`,
            );
        confusion[wanted[i] * classes + got[i]]++;
      }
      return confusion;
    },
    merge: (a, b) => a.map((count, i) => count + b[i]),
    finish: (confusion) => summarise(confusion, classes),
  };
}

function summarise(confusion: Float64Array, classes: number): SegmentationScores {
  const range = Array.from({ length: classes }, (_, c) => c);
  const hit = range.map((c) => confusion[c * classes + c]);
  const target = range.map((c) => range.reduce((sum, p) => sum + confusion[c * classes + p], 0));
  const predicted = range.map((c) => range.reduce((sum, t) => sum + confusion[t * classes + c], 0));
  const iou = range.map((c) => hit[c] / (target[c] + predicted[c] - hit[c]));
  const dice = range.map((c) => (2 * hit[c]) / (target[c] + predicted[c]));
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const meanOf = (values: readonly number[]): number => {
    const present = values.filter((value) => !Number.isNaN(value));
    return sum(present) / present.length;
  };
  return {
    iou,
    dice,
    meanIou: meanOf(iou),
    meanDice: meanOf(dice),
    pixelAccuracy: sum(hit) / sum(target),
  };
}
