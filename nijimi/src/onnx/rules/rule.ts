/** The type of an emission rule. */
import type { PrimitiveName, Sym } from "../../graph/primitives.ts";
import type { Emitter } from "../emitter.ts";

/** Writes one primitive as ONNX nodes and returns the name of its value; `inputs` are its inputs' names. */
export type EmitRule<P extends PrimitiveName> = (
  emit: Emitter,
  node: Sym<P>,
  inputs: readonly string[],
) => string;
