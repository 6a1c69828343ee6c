/** What every other browser test counts on. */
import { describe, expect, it } from "vitest";

describe("the browser under test", () => {
  it("isolates its pages, so that WASM gets threads", () => {
    expect(crossOriginIsolated).toBe(true);
    expect(new SharedArrayBuffer(8).byteLength).toBe(8);
  });

  it("computes on a WebGPU adapter", async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter?.requestDevice();
    expect(device?.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(2 ** 27);
    device?.destroy();
  });

  it("runs onnxruntime-web from node_modules, on WASM with threads and on WebGPU", async () => {
    const ort = await import("onnxruntime-web/webgpu");
    ort.env.wasm.numThreads = 2;
    // Y = X + X over one dimension of any length, as protobuf: version 8, opset 13.
    for (const executionProviders of [["wasm"], ["webgpu"]]) {
      const session = await ort.InferenceSession.create(doubling(), { executionProviders });
      const { y } = await session.run({ x: new ort.Tensor("float32", [1, 2, 3], [3]) });
      expect(Array.from(y.data as Float32Array)).toEqual([2, 4, 6]);
      await session.release();
    }
  });

  it("fetches files of the workspace", async () => {
    const response = await fetch("/package.json");
    expect(await response.json()).toMatchObject({ name: "nijimi-workspace" });
  });
});

/** ONNX bytes of y = x + x. */
function doubling(): Uint8Array {
  const text = (value: string) => [...new TextEncoder().encode(value)];
  const field = (number: number, bytes: number[]) => [(number << 3) | 2, bytes.length, ...bytes];
  const varint = (number: number, value: number) => [number << 3, value];
  const value = (name: string) =>
    field(1, text(name)).concat(
      // TypeProto.tensor_type { elem_type: float, shape: { dim: { dim_param: "n" } } }
      field(2, field(1, [...varint(1, 1), ...field(2, field(1, field(2, text("n"))))])),
    );
  const node = [
    ...field(1, text("x")),
    ...field(1, text("x")),
    ...field(2, text("y")),
    ...field(4, text("Add")),
  ];
  const graph = [
    ...field(1, node),
    ...field(2, text("g")),
    ...field(11, value("x")),
    ...field(12, value("y")),
  ];
  return new Uint8Array([...varint(1, 8), ...field(7, graph), ...field(8, varint(2, 13))]);
}
