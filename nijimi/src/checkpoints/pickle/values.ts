/**
 * What a pickle can hold here. None, booleans, numbers, strings and bytes are JavaScript's own; a list is
 * an array, a dict a Map; the rest are plain objects told apart by `kind`. Nothing behaves: a class is
 * a name, an object is the data that was stored for it.
 */
import type { DType } from "../../tensor/dtype.ts";

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickleDict
  | PickleTuple
  | PickleSet
  | PickleGlobal
  | PickleObject
  | StorageRef
  | TensorRef
  | ArrayRef
  | ArrayTypeRef;

export type PickleDict = Map<PickleValue, PickleValue>;

export interface PickleTuple {
  readonly kind: "tuple";
  readonly items: readonly PickleValue[];
}

export interface PickleSet {
  readonly kind: "set";
  readonly items: PickleValue[];
}

/** The name of a Python function or class. */
export interface PickleGlobal {
  readonly kind: "global";
  readonly module: string;
  readonly name: string;
}

/** The stored data of an object whose class is known to be nothing but a container. */
export interface PickleObject {
  readonly kind: "object";
  readonly type: PickleGlobal;
  /** Arguments of its constructor. */
  readonly args: readonly PickleValue[];
  /** Its `__dict__`, one dict for each time state was set. */
  readonly states: PickleDict[];
  /** What was set by key, for subclasses of dict. */
  readonly entries: PickleDict;
  /** What was appended, for subclasses of list. */
  readonly items: PickleValue[];
}

/** A torch storage: a run of elements kept beside the pickle. */
export interface StorageRef {
  readonly kind: "storage";
  /** Undefined for untyped storages, whose `count` is in bytes. */
  readonly dtype: DType | undefined;
  /** The name of its record. */
  readonly key: string;
  /** Elements it claims to have. */
  readonly count: number;
  /** First element, counted in the record named by `key`. Only very old files have views of storages. */
  readonly start: number;
}

/** A torch tensor: a strided view of a storage. Offset and strides are in elements. */
export interface TensorRef {
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly storage: StorageRef;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A NumPy array, whose bytes are in the pickle; empty until its state is set. */
export interface ArrayRef {
  readonly kind: "array";
  type?: ArrayTypeRef;
  shape: readonly number[];
  bytes: Uint8Array;
  columnMajor: boolean;
}

/** A NumPy dtype such as `"f4"`. */
export interface ArrayTypeRef {
  readonly kind: "array-type";
  readonly code: string;
  bigEndian: boolean;
}

/** `module.name`. */
export function globalName({ module, name }: PickleGlobal): string {
  return `${module}.${name}`;
}

/** True for a value of that `kind`. */
export function isKind<K extends Kinded["kind"]>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<Kinded, { kind: K }> {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === kind;
}

type Kinded = Extract<PickleValue, { readonly kind: string }>;
