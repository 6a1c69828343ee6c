/**
 * From the value of a pickle to tensors and metadata by dotted path: `{"state_dict": {"w": tensor}, "epoch": 3}`
 * gives the tensor `state_dict.w` and the metadata `epoch`. What holds no tensor stays in one piece.
 */
import { NijimiError } from "../../errors.ts";
import { ROOT_NAME, type Metadata, type MetadataValue } from "../checkpoint.ts";
import {
  globalName,
  isKind,
  type ArrayRef,
  type PickleObject,
  type PickleValue,
  type TensorRef,
} from "./values.ts";

/** What a pickle holds. */
export interface PickleContents {
  /** Tensors and arrays by path. */
  readonly tensors: ReadonlyMap<string, TensorRef | ArrayRef>;
  readonly metadata: Metadata;
}

const MAX_DEPTH = 100;
/** Nodes of the tree: shared containers count as often as they are met. */
const MAX_NODES = 5_000_000;
/** Values with a name of their own, and the characters of their names together. */
const MAX_NAMES = 100_000;
const MAX_NAME_CHARACTERS = 2 ** 24;

/**
 * Collects the tensors of a pickled value.
 *
 * @param name for messages
 * @throws NijimiError `format` for containers that hold themselves, share too much or are nested too deep
 */
export function collectContents(value: PickleValue, name: string): PickleContents {
  const survey = surveyTree(value, name);
  const plain = plainValues();
  const tensors = new Map<string, TensorRef | ArrayRef>();
  const metadata = Object.create(null) as Record<string, MetadataValue>;
  let names = 0;
  let characters = 0;

  function visit(node: PickleValue, path: string): void {
    if (isKind(node, "tensor") || isKind(node, "array")) return addTensor(path, node);
    if (!survey.holdsTensors(node)) return addMetadata(path, plain(node));
    for (const [key, child] of children(node)) visit(child, path === "" ? key : `${path}.${key}`);
  }

  function addTensor(path: string, node: TensorRef | ArrayRef): void {
    checkName(path, tensors.has(path));
    tensors.set(path, node);
  }

  function addMetadata(path: string, found: MetadataValue): void {
    checkName(path, path in metadata);
    metadata[path] = found;
  }

  function checkName(path: string, taken: boolean): void {
    names++;
    characters += path.length;
    if (names > MAX_NAMES || characters > MAX_NAME_CHARACTERS)
      throw new NijimiError("format", `${name} has more names than any checkpoint needs.`);
    if (taken)
      throw new NijimiError(
        "format",
        `${name} has two values that are both called ${JSON.stringify(path)}.`,
      );
  }

  if (survey.holdsTensors(value)) visit(value, "");
  else if (isContainer(value))
    for (const [key, child] of children(value)) addMetadata(key, plain(child));
  else addMetadata(ROOT_NAME, plain(value));
  return { tensors, metadata };
}

/** Children of a container with their names; nothing for what is not a container. */
function* children(node: PickleValue): Generator<readonly [string, PickleValue]> {
  if (node instanceof Map) for (const [key, child] of node) yield [keyText(key), child];
  else if (isKind(node, "object")) yield* objectChildren(node);
  else for (const [index, child] of itemsOf(node).entries()) yield [String(index), child];
}

/** What of a torch module is data; hooks and flags are not. */
const MODULE_CHILDREN = ["_parameters", "_buffers", "_modules"];

/** Attributes, keys and items of an object. A torch module is named by its parameters alone. */
function* objectChildren({
  states,
  entries,
  items,
}: PickleObject): Generator<readonly [string, PickleValue]> {
  for (const state of states)
    if (state.get("_parameters") instanceof Map) {
      for (const key of MODULE_CHILDREN) yield* children(state.get(key) ?? null);
    } else yield* children(state);
  yield* children(entries);
  yield* children(items);
}

/** Children without their names, for the survey: there may be very many. */
function childValues(node: PickleValue): Iterable<PickleValue> {
  if (node instanceof Map) return node.values();
  if (!isKind(node, "object")) return itemsOf(node);
  return [...objectChildren(node)].map(([, child]) => child);
}

function itemsOf(node: PickleValue): readonly PickleValue[] {
  if (Array.isArray(node)) return node;
  return isKind(node, "tuple") || isKind(node, "set") ? node.items : [];
}

function keyText(key: PickleValue): string {
  if (isKind(key, "global")) return globalName(key);
  if (isKind(key, "tuple")) return `(${key.items.map(keyText).join(",")})`;
  if (key instanceof Uint8Array) return new TextDecoder("latin1").decode(key);
  return typeof key === "object" && key !== null ? "?" : String(key);
}

interface Survey {
  holdsTensors(node: PickleValue): boolean;
}

/** Walks every container once, however often it is shared, and refuses trees that could not be walked as trees. */
function surveyTree(root: PickleValue, name: string): Survey {
  const seen = new Map<PickleValue, { readonly nodes: number; readonly tensors: boolean }>();
  const open = new Set<PickleValue>();

  function measure(
    node: PickleValue,
    depth: number,
  ): { readonly nodes: number; readonly tensors: boolean } {
    if (isKind(node, "tensor") || isKind(node, "array")) return TENSOR;
    if (!isContainer(node)) return SCALAR;
    const known = seen.get(node);
    if (known) return known;
    if (open.has(node))
      throw new NijimiError("format", `${name} has a container that holds itself.`);
    if (depth > MAX_DEPTH)
      throw new NijimiError("format", `${name} is nested deeper than ${MAX_DEPTH} levels.`);
    open.add(node);
    let nodes = 1;
    let tensors = false;
    for (const child of childValues(node)) {
      const below = measure(child, depth + 1);
      nodes += below.nodes;
      tensors ||= below.tensors;
    }
    if (nodes > MAX_NODES)
      throw new NijimiError(
        "format",
        `${name} has more than ${MAX_NODES} values in one container.`,
      );
    open.delete(node);
    const result = { nodes, tensors };
    seen.set(node, result);
    return result;
  }

  measure(root, 0);
  return {
    holdsTensors: (node) =>
      isKind(node, "tensor") || isKind(node, "array") || seen.get(node)?.tensors === true,
  };
}

const TENSOR = { nodes: 1, tensors: true } as const;
const SCALAR = { nodes: 1, tensors: false } as const;

function isContainer(node: PickleValue): boolean {
  return (
    node instanceof Map ||
    Array.isArray(node) ||
    isKind(node, "tuple") ||
    isKind(node, "set") ||
    isKind(node, "object")
  );
}

/** Converts values without tensors; shared containers stay shared. */
function plainValues(): (node: PickleValue) => MetadataValue {
  const done = new Map<PickleValue, MetadataValue>();

  function plain(node: PickleValue): MetadataValue {
    if (isKind(node, "global")) return globalName(node);
    if (isKind(node, "array-type")) return node.code;
    if (isKind(node, "storage")) return `storage ${node.key}`;
    if (node === null || typeof node !== "object" || node instanceof Uint8Array) return node;
    const known = done.get(node);
    if (known !== undefined) return known;
    const result = plainContainer(node);
    done.set(node, result);
    return result;
  }

  function plainContainer(node: PickleValue): MetadataValue {
    if (!(node instanceof Map) && !isKind(node, "object")) return itemsOf(node).map(plain);
    const object = Object.create(null) as Record<string, MetadataValue>;
    for (const [key, child] of children(node)) object[key] = plain(child);
    return object;
  }

  return plain;
}
