/**
 * A file of adapters, sorted by module: which tensors belong together, and what each of them is, in all the
 * ways in which training tools name them.
 *
 * | tool | a module's tensors |
 * |---|---|
 * | kohya, LyCORIS | `lora_unet_down_blocks_0_….lora_down.weight`, `.lora_up.weight`, `.lora_mid.weight`, `.alpha` |
 * | PEFT, diffusers | `unet.down_blocks.0.….to_q.lora_A.weight`, `.lora_B.weight` |
 * | diffusers before PEFT | `unet.….processor.to_q_lora.down.weight`, `….to_q.lora.up.weight`, `.lora_linear_layer.…` |
 */
import type { Entries, Entry } from "../checkpoint.ts";

/** What a tensor is to its module. */
export type Part =
  | "down"
  | "up"
  | "mid"
  | "alpha"
  | "magnitude"
  | "bias"
  | "difference"
  | "biasDifference"
  | "product"
  | "unsupported";

/** Endings of names, longest first where one ends in another. */
const ENDINGS: readonly (readonly [ending: RegExp, part: Part])[] = [
  [/\.lora_(?:A|down)(?:\.default)?(?:\.weight)?$/, "down"],
  [/\.lora_(?:B|up)(?:\.default)?(?:\.weight)?$/, "up"],
  [/\.lora_B(?:\.default)?\.bias$/, "bias"],
  [/\.lora_mid\.weight$/, "mid"],
  [/(?:_lora|\.lora|\.lora_linear_layer)\.down\.weight$/, "down"],
  [/(?:_lora|\.lora|\.lora_linear_layer)\.up\.weight$/, "up"],
  [/(?:_lora|\.lora|\.lora_linear_layer)?\.alpha$/, "alpha"],
  [/\.dora_scale$/, "magnitude"],
  [/\.lora_magnitude_vector(?:\.default)?(?:\.weight)?$/, "magnitude"],
  [/\.(?:hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2)$/, "product"],
  [/\.diff$|\.w_norm$/, "difference"],
  [/\.diff_b$|\.b_norm$/, "biasDifference"],
  [
    /\.(?:oft_blocks|oft_diag|a[12]\.weight|b[12]\.weight|bm[12]\.weight|on_input|reshape_weight|bias_(?:indices|values|size))$/,
    "unsupported",
  ],
];

/** The tensors of one module. */
export interface AdapterModule {
  /** The module's name in the file. */
  readonly name: string;
  readonly parts: Readonly<Partial<Record<Exclude<Part, "product" | "unsupported">, Entry>>>;
  /** Factors of LoHa and LoKr by their own names. */
  readonly factors: Readonly<Record<string, Entry>>;
  /** Names of tensors of kinds that are recognised and not read: OFT, GLoRA, IA³. */
  readonly unsupported: readonly string[];
}

/** A file's modules, and the tensors that are no part of an adapter. */
export interface AdapterFile {
  readonly modules: readonly AdapterModule[];
  readonly others: readonly string[];
}

/** Sorts the tensors of a file. */
export function readModules(entries: Entries): AdapterFile {
  const modules = new Map<string, Mutable>();
  const others: string[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const found = ENDINGS.map(([ending, part]) => ({ match: ending.exec(name), part })).find(
      ({ match }) => match,
    );
    if (!found?.match) {
      others.push(name);
      continue;
    }
    const path = name.slice(0, found.match.index);
    const module = modules.get(path) ?? { name: path, parts: {}, factors: {}, unsupported: [] };
    modules.set(path, module);
    if (found.part === "product") module.factors[name.slice(path.length + 1)] = entry;
    else if (found.part === "unsupported") module.unsupported.push(name.slice(path.length + 1));
    else module.parts[found.part] = entry;
  }
  return { modules: [...modules.values()], others };
}

interface Mutable extends AdapterModule {
  readonly parts: Partial<Record<Exclude<Part, "product" | "unsupported">, Entry>>;
  readonly factors: Record<string, Entry>;
  readonly unsupported: string[];
}

/** Whether a file is made of adapters: every module has some, and little else is there. */
export function isAdapterFile(entries: Entries): boolean {
  const { modules, others } = readModules(entries);
  const real = modules.filter(
    ({ parts, factors, unsupported }) =>
      parts.down !== undefined ||
      Object.keys(factors).length > 0 ||
      unsupported.length > 0 ||
      parts.difference !== undefined,
  );
  return real.length > 0 && others.length <= real.length;
}

/** What kind of adapter a module is, for people. */
export function kindOf({ parts, factors, unsupported }: AdapterModule): string {
  if (unsupported.length > 0)
    return unsupported.some((name) => name.startsWith("oft")) ? "OFT" : "GLoRA or IA³";
  const names = Object.keys(factors);
  if (names.some((name) => name.startsWith("hada"))) return "LoHa";
  if (names.some((name) => name.startsWith("lokr"))) return "LoKr";
  if (parts.magnitude) return "DoRA";
  if (!parts.down) return "full difference";
  return parts.mid || (parts.down.shape[2] ?? 1) > 1 ? "LoCon" : "LoRA";
}
