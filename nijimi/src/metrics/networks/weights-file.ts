/** Weights of metric networks from files: identified by their SHA-256, checked against the network's parameters. */
import { readAll } from "../../checkpoints/checkpoint.ts";
import { openSource, type SourceInput } from "../../checkpoints/files/open-source.ts";
import { openCheckpoint } from "../../checkpoints/open-checkpoint.ts";
import { NijimiError } from "../../errors.ts";
import type { ParameterSpec } from "../../nn/layer.ts";
import type { Tensor } from "../../tensor/tensor.ts";

export interface WeightsFile {
  readonly name: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** Under the file's own names. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** Reads all tensors of a checkpoint file of any format, and its hash. Files of some hundred megabytes. */
export async function readWeightsFile(input: SourceInput): Promise<WeightsFile> {
  const source = await openSource(input);
  const bytes = await source.read(0, source.size);
  await source.close();
  const checkpoint = await openCheckpoint(bytes);
  try {
    return {
      name: source.name,
      sha256: await sha256Of(bytes),
      tensors: await readAll(checkpoint.entries),
    };
  } finally {
    await checkpoint.close();
  }
}

/** Tensors under the network's names; those that `rename` gives no name are left out. */
export function renameAll(
  tensors: Readonly<Record<string, Tensor>>,
  rename: (key: string) => string | undefined,
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([key, value]) => {
      const name = rename(key);
      return name === undefined ? [] : [[name, value]];
    }),
  );
}

/**
 * Refuses weights that are not those of a network: missing or of another shape.
 *
 * @throws NijimiError `checkpoint` naming file, hash and the first parameters that do not fit
 */
export function checkWeights(
  file: Pick<WeightsFile, "name" | "sha256">,
  network: string,
  wanted: Readonly<Record<string, ParameterSpec>>,
  got: Readonly<Record<string, Tensor>>,
): void {
  const problems = Object.entries(wanted).flatMap(([name, { shape }]) => {
    const found = got[name];
    if (found === undefined) return [`${name} is missing`];
    return found.shape.join() === shape.join()
      ? []
      : [`${name} is [${found.shape}] instead of [${shape}]`];
  });
  if (problems.length === 0) return;
  const more = problems.length > 3 ? ` and ${problems.length - 3} more` : "";
  throw new NijimiError(
    "checkpoint",
    `${file.name} (SHA-256 ${file.sha256}) does not hold the weights of ${network}: ${problems.slice(0, 3).join("; ")}${more}.`,
  );
}

/** SHA-256 in lower-case hexadecimal. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
