/**
 * Extra networks in a prompt, `<lora:name:weight>`: taken out of the text, and returned with their arguments.
 */
import { NijimiError } from "../../errors.ts";
import { PYTHON_WORD } from "../python-text.ts";
import { parseWeight } from "./attention.ts";

/** A tag `<kind:argument:argument…>`; arguments of the form `key=value` are named. */
export interface NetworkTag {
  readonly kind: string;
  readonly positional: readonly string[];
  readonly named: Readonly<Record<string, string>>;
}

/** A LoRA to apply: to the text encoders and to the U-Net with their own weights. */
export interface LoraTag {
  readonly name: string;
  readonly textWeight: number;
  readonly unetWeight: number;
}

const OPENING = new RegExp(`<([${PYTHON_WORD}]+):`, "gu");

/**
 * Takes the tags out of a prompt.
 *
 * @example
 * takeNetworks("a cat <lora:ink:0.8>");
 * // { text: "a cat ", tags: [{ kind: "lora", positional: ["ink", "0.8"], named: {} }] }
 */
export function takeNetworks(prompt: string): {
  readonly text: string;
  readonly tags: readonly NetworkTag[];
} {
  const tags: NetworkTag[] = [];
  const kept: string[] = [];
  let from = 0;
  for (const { 0: opening, 1: kind, index } of prompt.matchAll(OPENING)) {
    if (index < from) continue; // inside the tag before
    const start = index + opening.length;
    const end = prompt.indexOf(">", start);
    if (end < 0) break;
    if (end === start) continue;
    tags.push(readTag(kind, prompt.slice(start, end)));
    kept.push(prompt.slice(from, index));
    from = end + 1;
  }
  return { text: kept.join("") + prompt.slice(from), tags };
}

function readTag(kind: string, body: string): NetworkTag {
  const pairs = body.split(":").map((argument) => argument.split("="));
  const named = pairs.filter((parts) => parts.length === 2);
  return {
    kind,
    positional: pairs.filter((parts) => parts.length !== 2).map((parts) => parts.join("=")),
    named: Object.fromEntries(named.map(([key, value]) => [key, value])),
  };
}

/**
 * A `lora` (or `lyco`) tag's name and weights: `<lora:name:both>`, `<lora:name:text:unet>`, or named as `te` and `unet`.
 * Without a weight it is 1, and the U-Net's is the text encoders' when it has none of its own.
 *
 * @throws NijimiError `option` when there is no name or a weight is not a number
 */
export function readLoraTag({ kind, positional, named }: NetworkTag): LoraTag {
  const [name, first, second] = positional;
  if (!name)
    throw new NijimiError(
      "option",
      `prompt: <${kind}:…> has no name; write <${kind}:name:weight>.`,
    );
  const textWeight = parseWeight(named.te ?? first ?? "1");
  const unetWeight = parseWeight(named.unet ?? second ?? String(textWeight));
  return { name, textWeight, unetWeight };
}
