/**
 * What `torch.save` wrote before 1.6: five pickles one after the other (magic number, protocol version,
 * system, the object, the list of storages) and then the storages, each behind its number of elements.
 */
import { NijimiError } from "../../errors.ts";
import { bytesPerElement } from "../../tensor/dtype.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { readGrowing } from "../files/byte-reader.ts";
import type { ByteSource } from "../files/byte-source.ts";
import { checkpointPolicy } from "../pickle/policy.ts";
import { unpickle } from "../pickle/unpickle.ts";
import type { PickleValue, StorageRef } from "../pickle/values.ts";
import { pickledEntries } from "./pickled-checkpoint.ts";
import type { StorageReader } from "./tensor-entry.ts";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
const COUNT_BYTES = 8;

/** LONG1 of ten bytes: the magic number. */
const MAGIC_OPCODE = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const FRAME = 0x95;
const FRAME_BYTES = 9;

/** True for the first bytes of such a file: PROTO, from protocol 4 on a frame, and the magic number. */
export function isTorchLegacy(start: Uint8Array): boolean {
  if (start[0] !== 0x80 || start[1] < 2 || start[1] > 5) return false;
  const at = start[2] === FRAME ? 2 + FRAME_BYTES : 2;
  return MAGIC_OPCODE.every((byte, i) => start[at + i] === byte);
}

/** Opens a checkpoint in torch's legacy format. */
export async function openTorchLegacy(source: ByteSource): Promise<Checkpoint> {
  const head = await readGrowing(source, (bytes) => parseHead(bytes, source.name));
  const storages = await placeStorages(source, head);
  return {
    format: "torch-legacy",
    name: source.name,
    ...pickledEntries(head.value, storages, source.name),
    close: () => source.close(),
  };
}

interface Head {
  readonly value: PickleValue;
  /** Storages by key, as the object's pickle names them. */
  readonly storages: ReadonlyMap<string, StorageRef>;
  /** Keys in the order of their data. */
  readonly order: readonly string[];
  readonly bigEndian: boolean;
  /** Where the first storage begins. */
  readonly end: number;
}

/** Reads the five pickles. */
function parseHead(bytes: Uint8Array, name: string): Head {
  const storages = new Map<string, StorageRef>();
  const policy = checkpointPolicy({
    name,
    size: bytes.length,
    onStorage: (storage) => void (storages.has(storage.key) || storages.set(storage.key, storage)),
  });
  let end = 0;
  const next = (): PickleValue => {
    const result = unpickle(bytes, policy, { start: end, name });
    end = result.end;
    return result.value;
  };
  if (next() !== MAGIC)
    throw new NijimiError("format", `${name} does not begin with torch's magic number.`);
  const protocol = next();
  if (protocol !== PROTOCOL)
    throw new NijimiError(
      "format",
      `${name} has torch's protocol version ${String(protocol)}; expected ${PROTOCOL}.`,
    );
  const system = next();
  const value = next();
  const order = next();
  if (!Array.isArray(order) || !order.every((key) => typeof key === "string"))
    throw new NijimiError("format", `${name} has no list of storages; the file is damaged.`);
  return { value, storages, order, bigEndian: isBigEndian(system), end };
}

function isBigEndian(system: PickleValue): boolean {
  return system instanceof Map && system.get("little_endian") === false;
}

/** Finds every storage in the file and checks that it has the size the pickle claims. */
async function placeStorages(source: ByteSource, head: Head): Promise<StorageReader> {
  const places = new Map<string, { readonly offset: number; readonly length: number }>();
  let at = head.end;
  for (const key of head.order) {
    const length = await checkStorage(source, head, key, at);
    if (places.has(key))
      throw new NijimiError("format", `${source.name} lists the storage ${key} twice.`);
    places.set(key, { offset: at + COUNT_BYTES, length });
    at += COUNT_BYTES + length;
  }

  function placeOf({ key }: StorageRef): { readonly offset: number; readonly length: number } {
    const place = places.get(key);
    if (place) return place;
    throw new NijimiError(
      "format",
      `${source.name} has no storage ${JSON.stringify(key)}; the file is damaged.`,
    );
  }

  return {
    bigEndian: head.bigEndian,
    size: (storage) => placeOf(storage).length,
    read: (storage, offset, length) => source.read(placeOf(storage).offset + offset, length),
    locate: (storage) =>
      source.path === undefined
        ? undefined
        : { file: source.path, offset: placeOf(storage).offset },
  };
}

/** Bytes of the storage whose count stands at `at`. */
async function checkStorage(
  source: ByteSource,
  head: Head,
  key: string,
  at: number,
): Promise<number> {
  const { name, size } = source;
  const storage = head.storages.get(key);
  if (!storage)
    throw new NijimiError(
      "format",
      `${name} lists the storage ${JSON.stringify(key)}, which no tensor uses; its type is unknown.`,
    );
  const length = storage.count * (storage.dtype ? bytesPerElement(storage.dtype) : 1);
  if (at + COUNT_BYTES + length > size)
    throw new NijimiError(
      "format",
      `${name} ends at byte ${size}, inside the storage ${key} that should have ${length} bytes; it is cut short.`,
    );
  const bytes = await source.read(at, COUNT_BYTES);
  const count = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, !head.bigEndian);
  if (count !== BigInt(storage.count))
    throw new NijimiError(
      "format",
      `${name} has ${count} elements in the storage ${key}, the pickle says ${storage.count}; the file is damaged.`,
    );
  return length;
}
