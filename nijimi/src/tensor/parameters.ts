/**
 * Parameter trees. A model's parameters are a flat record by dotted path, as torch's state dict; "subtree" is what
 * shares a prefix.
 */
import { NijimiError } from "../errors.ts";
import { bytesPerElement } from "./dtype.ts";
import type { Parameters, Tensor } from "./tensor.ts";

/**
 * The parameters below `prefix`, without it.
 *
 * @example
 * subtree(checkpoint, "first_stage_model"); // "first_stage_model.encoder.conv_in.weight" → "encoder.conv_in.weight"
 */
export function subtree(parameters: Parameters, prefix: string): Record<string, Tensor> {
  const start = `${prefix}.`;
  return Object.fromEntries(
    Object.entries(parameters)
      .filter(([name]) => name.startsWith(start))
      .map(([name, value]) => [name.slice(start.length), value]),
  );
}

/** The parameters with `prefix.` before every name. */
export function withPrefix(parameters: Parameters, prefix: string): Record<string, Tensor> {
  return renameParameters(parameters, (name) => `${prefix}.${name}`);
}

/**
 * The parameters under other names; those renamed to undefined are left out.
 *
 * @throws NijimiError `checkpoint` when two parameters would get the same name
 */
export function renameParameters(
  parameters: Parameters,
  rename: (name: string) => string | undefined,
): Record<string, Tensor> {
  const result: Record<string, Tensor> = {};
  for (const [name, value] of Object.entries(parameters)) {
    const renamed = rename(name);
    if (renamed === undefined) continue;
    if (renamed in result)
      throw new NijimiError(
        "checkpoint",
        `Two parameters would be named "${renamed}"; the second is "${name}".`,
      );
    result[renamed] = value;
  }
  return result;
}

/** Number of elements of all parameters. */
export function countParameters(parameters: Parameters): number {
  return Object.values(parameters).reduce((sum, { data }) => sum + data.length, 0);
}

/** Bytes of all parameters as they are stored. */
export function byteSize(parameters: Parameters): number {
  return Object.values(parameters).reduce(
    (sum, { dtype, data }) => sum + data.length * bytesPerElement(dtype),
    0,
  );
}
