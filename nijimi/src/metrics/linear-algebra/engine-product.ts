/** {@link Product} on the engine: one session per precision, for matrices of any size. */
import { matmul, transpose } from "../../graph/ops.ts";
import { spec } from "../../graph/trace.ts";
import { type Compiled, compile } from "../../runtime/compile.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { Floats, Product } from "./product.ts";

type Precision = "float32" | "float64";
type CompiledProduct = Compiled<{ readonly a: Tensor; readonly b: Tensor }, Tensor>;

/** A product on the engine, with its sessions' memory to give back. */
export interface EngineProduct {
  readonly product: Product;
  dispose(): Promise<void>;
}

/**
 * Matrix products on the engine. A session is made when its precision is first used; the CPU knows both
 * precisions, other devices float32 only.
 *
 * @example
 * const { product, dispose } = engineProduct();
 * const distance = await frechetDistance(a, b, { product });
 * await dispose();
 */
export function engineProduct(options: SessionOptions = {}): EngineProduct {
  const sessions = new Map<Precision, Promise<CompiledProduct>>();
  const session = (dtype: Precision): Promise<CompiledProduct> => {
    const made = sessions.get(dtype) ?? compileProduct(dtype, options);
    sessions.set(dtype, made);
    return made;
  };
  return {
    product: async <T extends Floats>(a: T, b: T, rows: number, inner: number, columns: number) => {
      const dtype = a instanceof Float32Array ? "float32" : "float64";
      const multiply = await session(dtype);
      const out = await multiply({
        a: tensor(dtype, [rows, inner], a),
        b: tensor(dtype, [columns, inner], b),
      });
      return out.data as T;
    },
    dispose: async () => {
      for (const made of sessions.values()) await (await made).dispose();
      sessions.clear();
    },
  };
}

function compileProduct(dtype: Precision, options: SessionOptions): Promise<CompiledProduct> {
  const specs = { a: spec(dtype, ["rows", "inner"]), b: spec(dtype, ["columns", "inner"]) };
  return compile(({ a, b }) => matmul(a, transpose(b, [1, 0])), specs, options);
}
