/** The thread that loads: makes batches, and sends one for every "next" it is told. */
import { parentPort, workerData } from "node:worker_threads";
import { invariant, isNijimiError } from "../errors.ts";
import { batches } from "./batches.ts";
import { openDataset } from "./open-dataset.ts";
import { decodePicture } from "./decode.ts";
import type { WorkerMessage, WorkerTask } from "./platform.node.ts";

invariant(parentPort, "the loader runs in a worker thread");
const port = parentPort;
const { dataset, options, from } = workerData as WorkerTask;

let credit = 0;
let wake: (() => void) | undefined;
port.on("message", () => {
  credit++;
  wake?.();
});

function send(message: WorkerMessage, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

try {
  for await (const batch of batches(await openDataset(dataset), decodePicture, options, from)) {
    while (credit === 0) await new Promise<void>((resolve) => (wake = resolve));
    credit--;
    const tensors = [batch.images, batch.targets].flatMap((x) =>
      x ? [x.data.buffer as ArrayBuffer] : [],
    );
    send({ batch }, tensors);
  }
  send({ end: true });
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  send({ error: { code: isNijimiError(error) ? error.code : "internal", message } });
} finally {
  port.close();
}
