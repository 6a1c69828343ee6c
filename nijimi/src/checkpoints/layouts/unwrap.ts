/**
 * Finding the network inside what training code saved around it: `state_dict`, `model`, a list with an
 * optimiser behind it, a parallel wrapper's `module`.
 */
import type { Entries } from "../checkpoint.ts";
import { recognise, type Family } from "./families.ts";
import { entriesBelow } from "./key-map.ts";

/**
 * Paths below which training codes save a network, most usual first. `0` is the first item of a list
 * (ermongroup's repositories), `w` the weights of a reference case.
 */
const WRAPPERS = [
  "state_dict",
  "model_state_dict",
  "model",
  "module",
  "params_ema",
  "params",
  "net",
  "network",
  "model_ema",
  "ema",
  "unets.0",
  "0",
  "w",
];

/** How many wrappers may stand around each other. */
const MAX_DEPTH = 3;

/** A network found in a file. */
export interface Unwrapped {
  readonly family: Family;
  /** The network's tensors, without the path in front. */
  readonly entries: Entries;
  /** What was taken off; "" for nothing. */
  readonly path: string;
  /** Tensors outside, under their full names. */
  readonly outside: readonly string[];
}

/** The first family that is recognised in a file, at its top or below usual wrappers. */
export function unwrap(entries: Entries): Unwrapped | undefined {
  for (const { path, inner } of layers(entries, "", MAX_DEPTH)) {
    const family = recognise(inner);
    if (!family) continue;
    const outside = Object.keys(entries).filter(
      (name) => path !== "" && !name.startsWith(`${path}.`),
    );
    return { family, entries: inner, path, outside };
  }
  return undefined;
}

/** What lies below every sequence of wrappers, the shortest first. */
function* layers(
  entries: Entries,
  path: string,
  depth: number,
): Generator<{ path: string; inner: Entries }> {
  let current = [{ path, inner: entries }];
  for (let i = 0; i <= depth && current.length > 0; i++) {
    yield* current;
    current = current.flatMap((layer) =>
      WRAPPERS.map((wrapper) => ({
        path: layer.path === "" ? wrapper : `${layer.path}.${wrapper}`,
        inner: entriesBelow(wrapper, layer.inner) as Entries,
      })).filter(({ inner }) => Object.keys(inner).length > 0),
    );
  }
}
