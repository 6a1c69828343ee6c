/** Chooses where matrix products run when the caller does not say. */
import { engineProduct } from "./engine-product.ts";
import { hostProduct, type Product } from "./product.ts";

/** Multiplications from which the engine is worth its session: a tenth of a second in TypeScript. */
const WORTH_A_SESSION = 1e8;

/** Option of every metric with matrix products in it. */
export interface ProductOption {
  /** Where matrix products run. @default TypeScript for small ones, the engine for large ones */
  readonly product?: Product;
}

/**
 * Calls `work` with the given product, or with one that suits about `multiplications` multiplications and is
 * disposed of afterwards.
 */
export async function usingProduct<T>(
  { product }: ProductOption,
  multiplications: number,
  work: (product: Product) => Promise<T>,
): Promise<T> {
  if (product !== undefined) return work(product);
  if (multiplications < WORTH_A_SESSION) return work(hostProduct);
  const engine = engineProduct();
  try {
    return await work(engine.product);
  } finally {
    await engine.dispose();
  }
}
