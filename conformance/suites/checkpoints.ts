/**
 * Files in checkpoint formats: what they hold, tensor by tensor. The case names its files in `config.file` or in its
 * description; `out.NAME` is the tensor NAME. Or it is a manifest of checkpoints of the same models.
 */
import path from "node:path";
import { openCheckpoint, readAll, type Metadata, type MetadataValue } from "nijimi/checkpoints";
import { cast, isFloat, type Tensor } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareManifest, listedFiles } from "../checkpoints/manifest.ts";
import { compareTensors } from "../compare.ts";

const FUNCTIONS = ["torch.save / torch.load", "gguf.quants.dequantize"];

export const suite: Suite = {
  kind: "checkpoints",
  accepts: ({ json }) =>
    listedFiles(json).length > 0 ||
    FUNCTIONS.some((name) => json.function?.startsWith(name) ?? false),
  run: async (c) =>
    listedFiles(c.json).length > 0
      ? compareManifest(c)
      : (await Promise.all(filesOf(c).map((file) => compareFile(c, file)))).flat(),
};

/** Files of a case, relative to its folder. */
function filesOf({ json }: Case): string[] {
  if (typeof json.config?.file === "string") return [json.config.file];
  return [...String(json.description).matchAll(/[\w./-]+\.(?:ckpt|pth|pt|bin|gguf|npz)\b/g)].map(
    ([file]) => file,
  );
}

async function compareFile(c: Case, file: string): Promise<Comparison[]> {
  const checkpoint = await openCheckpoint(path.join(c.folder, file));
  const tensors = await readAll(checkpoint.entries).finally(() => checkpoint.close());
  const expected = Object.entries(c.tensors()).filter(([name]) => name.startsWith("out."));
  const names = new Set(expected.map(([name]) => name.slice(4)));
  const extra = Object.keys(tensors).filter((name) => !names.has(name));
  return [
    ...expected.map(([name, value]) =>
      compareValue(`${file}: ${name}`, tensors[name.slice(4)], value, c.json.tolerance),
    ),
    verdict(`${file}: names`, extra.length === 0, `has also ${extra.join(", ")}`),
    ...compareMetadata(c, file, checkpoint.metadata),
  ];
}

/** Floats are recorded as float32, whatever the file has. */
function compareValue(
  name: string,
  got: Tensor | undefined,
  expected: Tensor,
  tolerance: unknown,
): Comparison {
  if (!got) return verdict(name, false, "is missing");
  const value = isFloat(got.dtype) && isFloat(expected.dtype) ? cast(got, expected.dtype) : got;
  return compareTensors(name, value, expected, tolerance);
}

function* compareMetadata({ json }: Case, file: string, got: Metadata): Generator<Comparison> {
  for (const [key, value] of Object.entries(json.config?.metadata ?? {}))
    yield verdict(
      `${file}: ${key}`,
      JSON.stringify(got[key]) === JSON.stringify(value),
      `is ${JSON.stringify(got[key])}`,
    );
  if (typeof json.nested_list === "string") {
    const shown = pythonRepr(got["nested.list"] ?? null);
    // Tuples are arrays here.
    const wanted = json.nested_list.replaceAll("(", "[").replaceAll(")", "]");
    yield verdict(`${file}: nested.list`, shown === wanted, `is ${shown}`);
  }
}

function pythonRepr(value: MetadataValue): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return `'${value}'`;
  if (value instanceof Uint8Array) return `b'${String.fromCharCode(...value)}'`;
  return Array.isArray(value) ? `[${value.map(pythonRepr).join(", ")}]` : String(value);
}

function verdict(name: string, passed: boolean, message: string): Comparison {
  return { name, error: passed ? 0 : Infinity, passed, ...(!passed && { message }) };
}
