/**
 * Statistics of an image set as `.npz` files, exchanged with pytorch-fid and clean-fid: arrays `mu` [D] and
 * `sigma` [D, D]; ADM's evaluator adds `mu_s` and `sigma_s` of the spatial features. Ours also say the number of
 * images and, as UTF-8 text, what they were computed with; others ignore that.
 */
import { NijimiError } from "../errors.ts";
import { readAll } from "../checkpoints/checkpoint.ts";
import type { SourceInput } from "../checkpoints/files/open-source.ts";
import { writeNpz } from "../checkpoints/numpy/write-npz.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { toFloat64 } from "../tensor/convert.ts";
import { int64, type Tensor, tensor } from "../tensor/tensor.ts";
import type { GaussianStatistics } from "./moments.ts";

/** What a statistics file holds. */
export interface SavedStatistics {
  readonly statistics: GaussianStatistics;
  /** Of the spatial features, for sFID. */
  readonly spatial?: GaussianStatistics;
  /** Network and resizing they were computed with; files of other tools do not say. */
  readonly computedWith?: string;
}

/**
 * Reads a statistics file.
 *
 * @throws NijimiError `format` when the arrays are missing or do not fit together
 */
export async function readStatistics(input: SourceInput): Promise<SavedStatistics> {
  const file = await openCheckpoint(input);
  try {
    const arrays = await readAll(file.entries);
    const count = arrays.count === undefined ? undefined : toFloat64(arrays.count)[0];
    const { computed_with: text } = arrays;
    return {
      statistics: statisticsOf(arrays, "", count, file.name),
      ...(arrays.mu_s !== undefined && { spatial: statisticsOf(arrays, "_s", count, file.name) }),
      ...(text !== undefined && {
        computedWith: new TextDecoder().decode(text.data as Uint8Array),
      }),
    };
  } finally {
    await file.close();
  }
}

function statisticsOf(
  arrays: Readonly<Record<string, Tensor>>,
  suffix: string,
  count: number | undefined,
  name: string,
): GaussianStatistics {
  const [mu, sigma] = [arrays[`mu${suffix}`], arrays[`sigma${suffix}`]];
  if (mu === undefined || sigma === undefined)
    throw new NijimiError(
      "format",
      `${name} holds ${Object.keys(arrays).join(", ") || "nothing"}; expected the arrays mu${suffix} and sigma${suffix}.`,
    );
  const [dimensions] = mu.shape;
  if (mu.shape.length !== 1 || sigma.shape.join() !== `${dimensions},${dimensions}`)
    throw new NijimiError(
      "format",
      `${name}: mu${suffix} is [${mu.shape}] and sigma${suffix} [${sigma.shape}]; expected [D] and [D, D].`,
    );
  const [mean, covariance] = [toFloat64(mu), toFloat64(sigma)];
  if (![...mean].every(Number.isFinite) || !covariance.every(Number.isFinite))
    throw new NijimiError("numeric", `${name} holds NaN or infinity.`);
  return { dimensions, mean, covariance, ...(count !== undefined && { count }) };
}

/** A statistics file's bytes. */
export function writeStatistics({
  statistics,
  spatial,
  computedWith,
}: SavedStatistics): Uint8Array {
  const arrays: Record<string, Tensor> = { ...arraysOf(statistics, "") };
  if (spatial !== undefined) Object.assign(arrays, arraysOf(spatial, "_s"));
  if (statistics.count !== undefined) arrays.count = int64([], [statistics.count]);
  if (computedWith !== undefined) {
    const text = new TextEncoder().encode(computedWith);
    arrays.computed_with = tensor("uint8", [text.length], text);
  }
  return writeNpz(arrays);
}

function arraysOf(
  { dimensions, mean, covariance }: GaussianStatistics,
  suffix: string,
): Record<string, Tensor> {
  return {
    [`mu${suffix}`]: tensor("float64", [dimensions], mean),
    [`sigma${suffix}`]: tensor("float64", [dimensions, dimensions], covariance),
  };
}
