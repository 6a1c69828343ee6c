/** A pickle without a container: plain values and NumPy arrays. Tensors need storages, which it cannot have. */
import { NijimiError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { ByteSource } from "../files/byte-source.ts";
import { checkpointPolicy } from "../pickle/policy.ts";
import { unpickle } from "../pickle/unpickle.ts";
import type { StorageReader } from "./tensor-entry.ts";
import { pickledEntries } from "./pickled-checkpoint.ts";

/** Pickles are read whole: what they hold is in them. */
const MAX_BYTES = 2 ** 30;

/** Opens a bare pickle. */
export async function openBarePickle(source: ByteSource): Promise<Checkpoint> {
  const { name, size } = source;
  if (size > MAX_BYTES)
    throw new NijimiError(
      "format",
      `${name} is a bare pickle of ${size} bytes; at most ${MAX_BYTES} are read.`,
    );
  const { value } = unpickle(await source.read(0, size), checkpointPolicy({ name, size }), {
    name,
  });
  const contents = pickledEntries(value, noStorages(name), name);
  return { format: "pickle", name, ...contents, close: () => source.close() };
}

function noStorages(name: string): StorageReader {
  const refuse = () =>
    new NijimiError(
      "format",
      `${name} is a bare pickle that refers to storages outside of it; save it with torch.save.`,
    );
  return {
    bigEndian: false,
    size: () => {
      throw refuse();
    },
    read: async () => {
      throw refuse();
    },
  };
}
