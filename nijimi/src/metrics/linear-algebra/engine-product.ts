/** {@link Product} on the engine: one session per precision and form, for matrices of any size. */
import { matmul, transpose } from "../../graph/ops.ts";
import { spec } from "../../graph/trace.ts";
import { type Compiled, compile } from "../../runtime/compile.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { Floats, Product, ProductForm } from "./product.ts";

type Precision = "float32" | "float64";
type CompiledProduct = Compiled<{ readonly a: Tensor; readonly b: Tensor }, Tensor>;

/** A product on the engine, with its sessions' memory to give back. */
export interface EngineProduct {
  readonly product: Product;
  dispose(): Promise<void>;
}

/**
 * Matrix products on the engine. A session is made when its precision and form are first used; the CPU knows
 * both precisions, other devices float32 only.
 *
 * @example
 * const { product, dispose } = engineProduct();
 * const distance = await frechetDistance(a, b, { product });
 * await dispose();
 */
export function engineProduct(options: SessionOptions = {}): EngineProduct {
  const sessions = new Map<string, Promise<CompiledProduct>>();
  const session = (dtype: Precision, form: ProductForm): Promise<CompiledProduct> => {
    const key = `${dtype} ${form}`;
    const made = sessions.get(key) ?? compileProduct(dtype, form, options);
    sessions.set(key, made);
    return made;
  };
  return {
    product: async <T extends Floats>(
      a: T,
      b: T,
      rows: number,
      inner: number,
      columns: number,
      form: ProductForm = "abT",
    ) => {
      const dtype = a instanceof Float32Array ? "float32" : "float64";
      const multiply = await session(dtype, form);
      const out = await multiply({
        a: tensor(dtype, [rows, inner], a),
        b: tensor(dtype, form === "ab" ? [inner, columns] : [columns, inner], b),
      });
      return out.data as T;
    },
    dispose: async () => {
      for (const made of sessions.values()) await (await made).dispose();
      sessions.clear();
    },
  };
}

function compileProduct(
  dtype: Precision,
  form: ProductForm,
  options: SessionOptions,
): Promise<CompiledProduct> {
  const a = spec(dtype, ["rows", "inner"]);
  return form === "ab"
    ? compile(({ a, b }) => matmul(a, b), { a, b: spec(dtype, ["inner", "columns"]) }, options)
    : compile(
        ({ a, b }) => matmul(a, transpose(b, [1, 0])),
        { a, b: spec(dtype, ["columns", "inner"]) },
        options,
      );
}
