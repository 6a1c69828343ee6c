/**
 * Export of a traced function as an ONNX file for other runtimes.
 */
import { NijimiError } from "../errors.ts";
import type { Sym } from "../graph/primitives.ts";
import { simplify } from "../graph/simplify.ts";
import { trace, type MapTree } from "../graph/trace.ts";
import { bytesPerElement } from "../tensor/dtype.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { type Bindings, emit } from "./emit.ts";
import { isExternal, type OnnxInitializer } from "./model.ts";
import { encodeModel, rawBytes } from "./protobuf.ts";

/** Options of {@link exportOnnx}. */
export interface ExportOptions {
  /** Values of parameters; those without one become inputs. */
  readonly parameters?: Bindings;
  /** Only operators of ONNX's standard domain. @default false */
  readonly portable?: boolean;
  /** Put the weights into a second file of this name beside the model: needed above 2 GB. @default inside */
  readonly weightsFile?: string;
}

/** An exported model: the `.onnx` bytes, and the parts of the weights file in order when one was asked for. */
export interface ExportedModel {
  readonly model: Uint8Array;
  readonly weights: readonly Uint8Array[];
}

/** Weights of at most this many bytes stay in the model. */
const SMALL = 1024;
/** Offsets in a weights file are multiples of a page, so that runtimes can map it. */
const PAGE = 4096;

/**
 * Writes `fn` as ONNX.
 *
 * @throws NijimiError `memory` above protobuf's 2 GB without `weightsFile`
 * @example
 * const { model } = exportOnnx(({ x }) => silu(x), { x: spec("float32", ["batch", 8]) }, { portable: true });
 * await writeFile("silu.onnx", model);
 */
export function exportOnnx<Specs, Out>(
  fn: (inputs: MapTree<Specs, Sym>) => Out,
  inputs: Specs,
  { parameters = {}, portable = false, weightsFile }: ExportOptions = {},
): ExportedModel {
  const model = emit(simplify(trace(fn, inputs).graph), parameters, { portable });
  if (weightsFile === undefined) return { model: encodeModel(model), weights: [] };
  const weights: Uint8Array[] = [];
  let offset = 0;
  const initializers = model.graph.initializers.map(({ name, value }): OnnxInitializer => {
    if (isExternal(value))
      throw new NijimiError(
        "option",
        `exportOnnx: parameter ${name} lies in a file already; give its values instead of weightsFile.`,
      );
    const length = sizeOf(value.shape) * bytesPerElement(value.dtype);
    if (length <= SMALL) return { name, value };
    const at = offset;
    const filled = Math.ceil(length / PAGE) * PAGE;
    weights.push(rawBytes(value), new Uint8Array(filled - length));
    offset += filled;
    return {
      name,
      value: { dtype: value.dtype, shape: value.shape, location: weightsFile, offset: at, length },
    };
  });
  return { model: encodeModel({ ...model, graph: { ...model.graph, initializers } }), weights };
}
