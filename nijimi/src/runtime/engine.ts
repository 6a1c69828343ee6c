/** What `compile` needs from ONNX Runtime, whichever build of it is present. */
import type * as ort from "onnxruntime-common";

/** A loaded ONNX Runtime. `node.ts` and `web.ts` each provide one, chosen by the package's "#runtime" import. */
export interface Engine {
  readonly name: "onnxruntime-node" | "onnxruntime-web";
  readonly InferenceSession: ort.InferenceSessionFactory;
  readonly Tensor: typeof ort.Tensor;
  /** Devices that can be asked for, the default first. */
  readonly devices: readonly Device[];
  /** The execution provider that ONNX Runtime knows a device by. */
  providerOf(device: Device): string;
}

/** Where a graph runs. `wasm` is the portable CPU engine of onnxruntime-web. */
export const DEVICES = ["cpu", "webgpu", "cuda", "coreml", "dml", "wasm"] as const;
export type Device = (typeof DEVICES)[number];
