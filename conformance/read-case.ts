/**
 * Cases on disk: which JSON files of a directory are cases, and their tensors with shared weights followed.
 *
 * A directory of cases also holds companions (model folders, tokenizers, manifests' files). A JSON file is a case
 * when it says so by its fields, see {@link isCaseJson}; everything else belongs to some case's folder.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { sizeOf, tensor, viewBytes, type DType, type Tensor } from "nijimi/tensor";
import type { Case, CaseJson } from "./case.ts";
import { parseLenientJson } from "./lenient-json.ts";

/** Weights of one case kept in memory for the cases that share them. */
const CACHED_CASES = 8;

/** All cases below `root`, sorted by id. */
export function readCases(root: string): Case[] {
  const absolute = path.resolve(root);
  const open = caseOpener(absolute);
  return jsonFilesBelow(absolute)
    .map((file) =>
      path
        .relative(absolute, file)
        .split(path.sep)
        .join("/")
        .replace(/\.json$/, ""),
    )
    .sort()
    .flatMap((id) => open(id) ?? []);
}

/** True for JSON that describes a case: a function, section or tolerance is named, or cases, items or files are listed. */
export function isCaseJson(json: unknown): json is CaseJson {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return false;
  const field = json as Record<string, unknown>;
  const named = ["function", "section"].some((key) => typeof field[key] === "string");
  const listed = ["items", "cases", "files"].some(
    (key) => typeof field[key] === "object" && field[key] !== null,
  );
  const described = typeof field.name === "string" && typeof field.description === "string";
  return (
    named ||
    listed ||
    described ||
    (typeof field.tolerance === "object" && field.tolerance !== null)
  );
}

/** A function that opens the case with an id, or gives undefined where there is none. */
function caseOpener(root: string): (id: string) => Case | undefined {
  const weightCache = new Map<string, Record<string, Tensor>>();

  function open(id: string): Case | undefined {
    const file = path.join(root, `${id}.json`);
    const json = existsSync(file) ? tryParse(file) : undefined;
    if (!isCaseJson(json)) return undefined;
    let loaded: Record<string, Tensor> | undefined;
    const c: Case = {
      id,
      folder: path.dirname(file),
      root,
      json,
      tensors: () => (loaded ??= { ...sharedWeights(c, weightsOf), ...ownTensors(root, id) }),
      sibling: (name) => findSibling(c, name),
    };
    return c;
  }

  // Cases name each other relative to their collection ("ddim/unet" inside authors/), so every folder above is
  // tried, and the one above the root for a root inside a collection.
  function findSibling(from: Case, name: string): Case {
    const folders = from.id.split("/").slice(0, -1);
    const candidates = folders.map((_, i) => folders.slice(0, folders.length - i).join("/"));
    for (const folder of [...candidates, ".", ".."]) {
      const found = open(path.posix.join(folder, name));
      if (found) return found;
    }
    throw new Error(`${from.id} refers to the case "${name}", which is not below ${root}.`);
  }

  function weightsOf(c: Case, name: string): Record<string, Tensor> {
    const sibling = findSibling(c, name);
    const weights = weightCache.get(sibling.id) ?? weightsOnly(sibling.tensors());
    weightCache.delete(sibling.id);
    weightCache.set(sibling.id, weights);
    if (weightCache.size > CACHED_CASES) weightCache.delete(weightCache.keys().next().value!);
    return weights;
  }

  return open;
}

/**
 * `w.*` tensors that a case takes from others.
 *
 * `weights_from: "case"` gives that case's `w.*`; `weights_from: { role: "case" }` gives them as `w.role.*`;
 * `weights_shared: { case, keys }` (or a list of those) gives single tensors under their own names.
 */
function sharedWeights(
  c: Case,
  weightsOf: (c: Case, name: string) => Record<string, Tensor>,
): Record<string, Tensor> {
  const result: Record<string, Tensor> = {};
  const from = c.json.weights_from;
  if (typeof from === "string") Object.assign(result, weightsOf(c, from));
  else
    for (const [role, name] of Object.entries((from ?? {}) as Record<string, string | null>))
      if (name !== null)
        for (const [key, value] of Object.entries(weightsOf(c, name)))
          result[`w.${role}.${key.slice(2)}`] = value;
  const shared = c.json.weights_shared as SharedWeights | readonly SharedWeights[] | undefined;
  for (const { case: name, keys } of shared === undefined ? [] : [shared].flat()) {
    const weights = weightsOf(c, name);
    for (const key of keys) {
      if (!(key in weights))
        throw new Error(`${c.id} shares ${key} with ${name}, which has no such tensor.`);
      result[key] = weights[key];
    }
  }
  return result;
}

interface SharedWeights {
  readonly case: string;
  readonly keys: readonly string[];
}

function weightsOnly(tensors: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(tensors).filter(([key]) => key.startsWith("w.")));
}

function ownTensors(root: string, id: string): Record<string, Tensor> {
  const file = path.join(root, `${id}.safetensors`);
  return existsSync(file) ? parseSafetensors(readFileSync(file)) : {};
}

function jsonFilesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) return jsonFilesBelow(full);
    return entry.name.endsWith(".json") ? [full] : [];
  });
}

/** The parsed file, or undefined where it is not JSON: directories of cases hold broken files on purpose. */
function tryParse(file: string): unknown {
  try {
    return parseLenientJson(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

const SAFETENSORS_DTYPES: Readonly<Record<string, DType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  F8_E4M3: "float8_e4m3fn",
  F8_E5M2: "float8_e5m2",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U64: "uint64",
  U32: "uint32",
  U16: "uint16",
  U8: "uint8",
  BOOL: "bool",
};

/** Tensors of a trusted safetensors file. The cases are ours; user files go through `nijimi/checkpoints`. */
export function parseSafetensors(bytes: Uint8Array): Record<string, Tensor> {
  const headerLength = Number(
    new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true),
  );
  const header = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + headerLength)),
  ) as Record<string, Entry>;
  const start = bytes.byteOffset + 8 + headerLength;
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(([name, { dtype, shape, data_offsets }]) => {
        const type = SAFETENSORS_DTYPES[dtype];
        return [
          name,
          tensor(
            type,
            shape,
            viewBytes(type, bytes.buffer, start + data_offsets[0], sizeOf(shape)),
          ),
        ];
      }),
  );
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}
