/** What loading needs of the platform; `#data` gives Node's or the browser's. */
import type { Batch, DataPosition } from "./batches.ts";
import type { LoaderOptions } from "./loader.ts";
import type { DatasetSpec } from "./open-dataset.ts";

export interface Platform {
  batchesInWorkers(
    dataset: DatasetSpec,
    options: LoaderOptions,
    from: DataPosition,
  ): AsyncGenerator<Batch>;
}
