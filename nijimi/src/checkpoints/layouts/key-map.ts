/**
 * Key maps: how the parameter names of one published layout become ours (diffusers' and transformers'),
 * and back. A map is plain data, read in both directions.
 *
 * A map lists modules by their paths. Inside a module, rules rename what follows and say how a tensor
 * changes where renaming alone does not do: a 1×1 convolution that is a linear layer here, a matrix
 * stored the other way round, one matrix that holds queries, keys and values. The longest module path
 * that is a prefix of a name decides; names under no module are left over, and reported by the caller.
 */
import type { Entries, Entry } from "../checkpoint.ts";
import {
  concatRows,
  permuteEntry,
  pickRows,
  reshapeEntry,
  transposeEntry,
  type Rows,
} from "./views.ts";

/** What happens to a tensor on the way from the foreign layout to ours. All can be undone. */
export type Transform =
  /** A linear layer stored as a 1×1 convolution with so many spatial axes: [o, i, 1, 1] → [o, i]. Vectors stay. */
  | { readonly kind: "squeeze"; readonly spatial: 1 | 2 }
  /** A matrix stored the other way round: [i, o] → [o, i]. Vectors stay. */
  | { readonly kind: "transpose" }
  /** Axes stored in another order; tensors of another rank stay. Axis `i` of ours is axis `order[i]` of theirs. */
  | { readonly kind: "permute"; readonly order: readonly number[] }
  /** Another shape of as many elements; `foreign` and `ours` give the shapes, −1 once for what is left. */
  | {
      readonly kind: "reshape";
      readonly foreign: readonly number[];
      readonly ours: readonly number[];
    }
  /**
   * One tensor with queries, keys and values of `heads` heads, head by head: rows are
   * [q₀ k₀ v₀ q₁ k₁ v₁ …]. Only in a rule with several names.
   */
  | { readonly kind: "heads"; readonly heads: number };

/** Renames a path below a module, and all that lies below it. */
export interface Rule {
  readonly foreign: string;
  /** Our path; several paths share the foreign tensor's rows equally, in this order. */
  readonly ours: string | readonly string[];
  /** Steps from foreign to ours, in order; before a split. */
  readonly transform?: readonly Transform[];
  /** Names that old files have and that are not written. @default false */
  readonly readOnly?: boolean;
}

/** A module's two paths and the rules inside it. Without a rule for it, what lies below keeps its name. */
export interface ModuleRule {
  readonly foreign: string;
  readonly ours: string;
  readonly rules?: readonly Rule[];
  /** Names that old files have and that are not written. @default false */
  readonly readOnly?: boolean;
}

/** One layout's names against ours. */
export type KeyMap = readonly ModuleRule[];

/** What a map made of a state dict. */
export interface Mapped {
  readonly entries: Record<string, Entry>;
  /** Names that no module of the map covers. */
  readonly unmapped: readonly string[];
}

/** Foreign names to ours. */
export function toOurs(map: KeyMap, entries: Entries): Mapped {
  const modules = byPath(map, (module) => module.foreign);
  const result = Object.create(null) as Record<string, Entry>;
  const unmapped: string[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const module = longestPrefix(modules, name);
    if (!module) {
      unmapped.push(name);
      continue;
    }
    const inner = below(module.foreign, name);
    const rule = bestRule(module.rules ?? [], inner, (candidate) => [candidate.foreign]);
    const targets = rule ? asList(rule.ours) : [inner];
    const rest = rule ? below(rule.foreign, inner) : "";
    const parts = splitForeign(
      applyAll(rule?.transform ?? [], entry),
      targets.length,
      rule?.transform ?? [],
    );
    targets.forEach(
      (target, i) => (result[join(module.ours, rule ? join(target, rest) : target)] = parts[i]),
    );
  }
  return { entries: result, unmapped };
}

/** Our names to the foreign ones. Of a group that one foreign tensor holds, all must be there. */
export function toForeign(map: KeyMap, entries: Entries): Mapped {
  const modules = byPath(
    map.filter(({ readOnly }) => !readOnly),
    (module) => module.ours,
  );
  const result = Object.create(null) as Record<string, Entry>;
  const unmapped: string[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const module = longestPrefix(modules, name);
    if (!module) {
      unmapped.push(name);
      continue;
    }
    const inner = below(module.ours, name);
    const rules = module.rules?.filter(({ readOnly }) => !readOnly) ?? [];
    const rule = bestRule(rules, inner, (candidate) => asList(candidate.ours));
    if (!rule) {
      result[join(module.foreign, inner)] = entry;
      continue;
    }
    const targets = asList(rule.ours);
    const target = targets.find((path) => isPrefix(path, inner)) ?? "";
    const rest = below(target, inner);
    const foreign = join(module.foreign, join(rule.foreign, rest));
    if (foreign in result) continue;
    const parts = targets.map((path) => entries[join(module.ours, join(path, rest))]);
    if (parts.some((part) => part === undefined)) unmapped.push(name);
    else result[foreign] = undoAll(rule.transform ?? [], joinOurs(parts, rule.transform ?? []));
  }
  return { entries: result, unmapped };
}

/** The map with a path in front of every foreign or every one of our names; empty paths change nothing. */
export function prefixed(
  map: KeyMap,
  { foreign = "", ours = "" }: { readonly foreign?: string; readonly ours?: string },
): KeyMap {
  return map.map((module) => ({
    ...module,
    foreign: join(foreign, module.foreign),
    ours: join(ours, module.ours),
  }));
}

/** Rules without transforms, from pairs of [foreign, ours]. */
export function renames(...pairs: readonly (readonly [foreign: string, ours: string])[]): Rule[] {
  return pairs.map(([foreign, ours]) => ({ foreign, ours }));
}

/** Entries below a path, with the path taken off. */
export function entriesBelow(path: string, entries: Entries): Record<string, Entry> {
  const result = Object.create(null) as Record<string, Entry>;
  for (const [name, entry] of Object.entries(entries))
    if (isPrefix(path, name)) result[below(path, name)] = entry;
  return result;
}

/** Two parts of a dotted path; either may be empty. */
export function join(path: string, rest: string): string {
  return path === "" || rest === "" ? path + rest : `${path}.${rest}`;
}

function asList(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}

function isPrefix(path: string, name: string): boolean {
  return path === "" || name === path || name.startsWith(`${path}.`);
}

/** What is left of `name` after `path`. */
function below(path: string, name: string): string {
  return path === "" ? name : name.slice(path.length + 1);
}

function byPath(
  map: KeyMap,
  path: (module: ModuleRule) => string,
): ReadonlyMap<string, ModuleRule> {
  return new Map(map.map((module) => [path(module), module]));
}

function longestPrefix(
  modules: ReadonlyMap<string, ModuleRule>,
  name: string,
): ModuleRule | undefined {
  for (let end = name.length; end > 0; end = name.lastIndexOf(".", end - 1)) {
    const module = modules.get(name.slice(0, end));
    if (module) return module;
  }
  return modules.get("");
}

function bestRule(
  rules: readonly Rule[],
  inner: string,
  paths: (rule: Rule) => readonly string[],
): Rule | undefined {
  let best: Rule | undefined;
  let length = -1;
  for (const rule of rules)
    for (const path of paths(rule))
      if (path.length > length && isPrefix(path, inner)) {
        best = rule;
        length = path.length;
      }
  return best;
}

function applyAll(transforms: readonly Transform[], entry: Entry): Entry {
  return transforms.reduce(apply, entry);
}

function undoAll(transforms: readonly Transform[], entry: Entry): Entry {
  return transforms.toReversed().reduce(undo, entry);
}

function apply(entry: Entry, transform: Transform): Entry {
  const { shape } = entry;
  switch (transform.kind) {
    case "squeeze":
      return shape.length === 2 + transform.spatial && shape.slice(2).every((dim) => dim === 1)
        ? reshapeEntry(entry, shape.slice(0, 2))
        : entry;
    case "transpose":
      return shape.length === 2 ? transposeEntry(entry) : entry;
    case "permute":
      return shape.length === transform.order.length ? permuteEntry(entry, transform.order) : entry;
    case "reshape":
      return reshapeEntry(entry, fill(transform.ours, shape));
    case "heads":
      return entry;
  }
}

function undo(entry: Entry, transform: Transform): Entry {
  const { shape } = entry;
  switch (transform.kind) {
    case "squeeze":
      return shape.length === 2
        ? reshapeEntry(entry, [...shape, ...Array<number>(transform.spatial).fill(1)])
        : entry;
    case "transpose":
      return shape.length === 2 ? transposeEntry(entry) : entry;
    case "permute":
      return shape.length === transform.order.length
        ? permuteEntry(entry, inverse(transform.order))
        : entry;
    case "reshape":
      return reshapeEntry(entry, fill(transform.foreign, shape));
    case "heads":
      return entry;
  }
}

function inverse(order: readonly number[]): number[] {
  return order.map((_, axis) => order.indexOf(axis));
}

/** A shape with its −1 replaced by what `shape` leaves for it. */
function fill(wanted: readonly number[], shape: readonly number[]): number[] {
  const size = (dims: readonly number[]) => dims.reduce((product, dim) => product * dim, 1);
  const known = size(wanted.filter((dim) => dim >= 0));
  return wanted.map((dim) => (dim >= 0 ? dim : size(shape) / known));
}

function headsOf(transforms: readonly Transform[]): number {
  const heads = transforms.find((transform) => transform.kind === "heads");
  return heads?.kind === "heads" ? heads.heads : 1;
}

/** Cuts a tensor into `count` of equal rows; with heads, every head gives a share to each part in turn. */
function splitForeign(entry: Entry, count: number, transforms: readonly Transform[]): Entry[] {
  if (count === 1) return [entry];
  const heads = headsOf(transforms);
  const rows = entry.shape[0] / (heads * count);
  return Array.from({ length: count }, (_, part) =>
    pickRows(
      entry,
      Array.from({ length: heads }, (_, head) => rowsOf(head * count + part, rows)),
    ),
  );
}

function joinOurs(parts: readonly Entry[], transforms: readonly Transform[]): Entry {
  const joined = concatRows(parts);
  const heads = headsOf(transforms);
  if (parts.length === 1 || heads === 1) return joined;
  const rows = joined.shape[0] / (heads * parts.length);
  const runs = Array.from({ length: heads }, (_, head) =>
    parts.map((_, part) => rowsOf(part * heads + head, rows)),
  );
  return pickRows(joined, runs.flat());
}

/** The `index`-th run of `rows` rows. */
function rowsOf(index: number, rows: number): Rows {
  return [index * rows, (index + 1) * rows];
}
