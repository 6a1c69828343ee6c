/**
 * Finding the parameter that an adapter's module is for, whichever names the module has: ours with dots or
 * with underscores, the original Stable Diffusion's, or those of diffusers' attention processors.
 */
import { InternalError } from "../../errors.ts";
import type { Entry } from "../checkpoint.ts";
import type { JsonObject } from "../json.ts";
import { toForeign } from "../layouts/key-map.ts";
import { openAIUNetMap } from "../layouts/openai-unet.ts";
import { outlineOfConfig } from "../layouts/unet-outline.ts";

/** A network that adapters are for; a loaded checkpoint's components are such. */
export interface AdapterTarget {
  readonly className: string;
  readonly config: JsonObject;
  readonly entries: Readonly<Record<string, Pick<Entry, "shape">>>;
}

/** Networks by their names in a pipeline: `unet`, `text_encoder`, `text_encoder_2`. */
export type AdapterTargets = Readonly<Record<string, AdapterTarget>>;

/** A module of a network, without `.weight`. */
export interface TargetModule {
  readonly component: string;
  readonly path: string;
}

/** What a module is called in front, and the component meant; longest first. */
const PREFIXES: readonly (readonly [prefix: string, component: string])[] = [
  ["lora_unet_", "unet"],
  ["lora_te1_", "text_encoder"],
  ["lora_te2_", "text_encoder_2"],
  ["lora_te_", "text_encoder"],
  ["lycoris_", "unet"],
  ["unet.", "unet"],
  ["text_encoder_2.", "text_encoder_2"],
  ["text_encoder.", "text_encoder"],
  ["diffusion_model.", "unet"],
];

/** Projections of CLIP under the names that diffusers' attention processors have for them. */
const TEXT_PROJECTIONS: readonly (readonly [RegExp, string])[] = [
  [/\.to_([qkv])$/, ".$1_proj"],
  [/\.to_out$/, ".out_proj"],
];

/** Looks up modules of one set of networks. */
export function targetFinder(targets: AdapterTargets): (name: string) => TargetModule | undefined {
  const tables = new Map(
    Object.entries(targets).map(([component, target]) => [component, aliases(target)]),
  );
  return (name) => {
    const bare = name.replace(/^base_model\.model\./, "").replaceAll(".processor", "");
    const prefix = PREFIXES.find(([start]) => bare.startsWith(start));
    const components = prefix ? [prefix[1]] : Object.keys(targets);
    const rest = prefix ? bare.slice(prefix[0].length) : bare;
    for (const component of components) {
      const table = tables.get(component);
      const path = spellings(rest)
        .map((spelling) => table?.get(spelling))
        .find((found) => found !== undefined);
      if (path !== undefined) return { component, path };
    }
    return undefined;
  };
}

function spellings(name: string): string[] {
  const text = TEXT_PROJECTIONS.map(([pattern, replacement]) => name.replace(pattern, replacement));
  return [name, `${name}.0`, ...text];
}

/** Every name that a module of a network may have, and its path. */
function aliases({ className, config, entries }: AdapterTarget): ReadonlyMap<string, string> {
  const table = new Map<string, string>();
  const add = (name: string, path: string) => {
    for (const spelling of [name, name.replaceAll(".", "_")])
      if (!table.has(spelling)) table.set(spelling, path);
  };
  const weights = Object.keys(entries).filter((name) => name.endsWith(".weight"));
  for (const name of weights) add(withoutWeight(name), withoutWeight(name));
  for (const [foreign, ours] of originalNames(className, config, weights))
    add(withoutWeight(foreign), withoutWeight(ours));
  return table;
}

function withoutWeight(name: string): string {
  return name.slice(0, -".weight".length);
}

/** Names of a U-Net's weights in the original layout, and ours. */
function originalNames(
  className: string,
  config: JsonObject,
  weights: readonly string[],
): [string, string][] {
  if (className !== "UNet2DConditionModel") return [];
  const labels = config.addition_embed_type === "text_time" ? "addition-mlp" : "class-table";
  // A key map moves entries; here it moves one per name, which nobody reads.
  const ours = new Map(weights.map((name) => [carrier(), name]));
  const moved = toForeign(
    openAIUNetMap(outlineOfConfig(config), { labels }),
    Object.fromEntries([...ours].map(([entry, name]) => [name, entry])),
  );
  return Object.entries(moved.entries).map(([foreign, entry]) => [foreign, ours.get(entry) ?? ""]);
}

function carrier(): Entry {
  const read = () => Promise.reject(new InternalError("a name was read as a tensor"));
  return { dtype: "float32", shape: [], read };
}
