/** The functions of torch by which tensors are stored (torch/_utils.py, torch/_tensor.py), as data. */
import { NijimiError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { asCount, asCounts, asItems, asStorage, badCall } from "./arguments.ts";
import { arrayOf } from "./numpy-calls.ts";
import { globalName, isKind, type PickleValue, type StorageRef, type TensorRef } from "./values.ts";

/** A function as data: what calling it with these arguments would have made. */
export type Call = (args: readonly PickleValue[]) => PickleValue;

/** Element types of torch's typed storages. */
export const STORAGE_DTYPES: Readonly<Record<string, DType>> = {
  "torch.DoubleStorage": "float64",
  "torch.FloatStorage": "float32",
  "torch.HalfStorage": "float16",
  "torch.BFloat16Storage": "bfloat16",
  "torch.LongStorage": "int64",
  "torch.IntStorage": "int32",
  "torch.ShortStorage": "int16",
  "torch.CharStorage": "int8",
  "torch.ByteStorage": "uint8",
  "torch.BoolStorage": "bool",
};

/** Storages whose element type is given by the tensor. */
export const UNTYPED_STORAGES = ["torch.storage.UntypedStorage", "torch.UntypedStorage"];

/** torch's dtypes that have a place here, by their Python names. */
export const TORCH_DTYPES: Readonly<Record<string, DType>> = {
  "torch.float64": "float64",
  "torch.float32": "float32",
  "torch.float16": "float16",
  "torch.bfloat16": "bfloat16",
  "torch.float8_e4m3fn": "float8_e4m3fn",
  "torch.float8_e5m2": "float8_e5m2",
  "torch.int64": "int64",
  "torch.int32": "int32",
  "torch.int16": "int16",
  "torch.int8": "int8",
  "torch.uint64": "uint64",
  "torch.uint32": "uint32",
  "torch.uint16": "uint16",
  "torch.uint8": "uint8",
  "torch.bool": "bool",
};

export const TORCH_CALLS: Readonly<Record<string, Call>> = {
  "torch._utils._rebuild_tensor": rebuildTensor,
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_tensor_v3": ([storage, offset, shape, strides, , , dtype]) =>
    tensorRef(asStorage(storage, "_rebuild_tensor_v3"), dtypeOf(dtype), offset, shape, strides),
  "torch._utils._rebuild_parameter": ([data]) => tensorOf(data, "_rebuild_parameter"),
  "torch._utils._rebuild_parameter_with_state": ([data]) =>
    tensorOf(data, "_rebuild_parameter_with_state"),
  "torch._utils._rebuild_device_tensor_from_cpu_tensor": ([data]) =>
    tensorOf(data, "_rebuild_device_tensor_from_cpu_tensor"),
  "torch._utils._rebuild_device_tensor_from_numpy": ([data]) =>
    arrayOf(data, "_rebuild_device_tensor_from_numpy"),
  "torch._tensor._rebuild_from_type_v2": ([rebuild, , args]) => {
    const call = isKind(rebuild, "global") ? TORCH_CALLS[globalName(rebuild)] : undefined;
    if (!call) throw badCall("_rebuild_from_type_v2", "a function that makes no tensor");
    return call(asItems(args, "_rebuild_from_type_v2"));
  },
  "torch.Size": ([sizes]) => ({ kind: "tuple", items: asCounts(sizes, "torch.Size") }),
  "torch.device": (args) => args.map(String).join(":"),
  "torch.jit._pickle.build_intlist": ([items = []]) => items,
  "torch.jit._pickle.build_doublelist": ([items = []]) => items,
  "torch.jit._pickle.build_boollist": ([items = []]) => items,
  "torch.jit._pickle.build_tensorlist": ([items = []]) => items,
  "torch.jit._pickle.restore_type_tag": ([value = null]) => value,
};

function rebuildTensor([storage, offset, shape, strides]: readonly PickleValue[]): TensorRef {
  const ref = asStorage(storage, "_rebuild_tensor");
  if (ref.dtype === undefined) throw badCall("_rebuild_tensor", "a storage without a type");
  return tensorRef(ref, ref.dtype, offset, shape, strides);
}

function tensorRef(
  storage: StorageRef,
  dtype: DType,
  offset: PickleValue | undefined,
  shape: PickleValue | undefined,
  strides: PickleValue | undefined,
): TensorRef {
  const what = "_rebuild_tensor";
  const ref: TensorRef = {
    kind: "tensor",
    dtype,
    storage,
    offset: asCount(offset, what),
    shape: asCounts(shape, what),
    strides: asCounts(strides, what),
  };
  if (ref.shape.length !== ref.strides.length)
    throw badCall(what, `the shape [${ref.shape}] and the strides [${ref.strides}]`);
  return ref;
}

function tensorOf(value: PickleValue | undefined, what: string): PickleValue {
  if (isKind(value, "tensor") || isKind(value, "array")) return value;
  throw badCall(what, "what is not a tensor");
}

function dtypeOf(value: PickleValue | undefined): DType {
  const name = isKind(value, "global") ? globalName(value) : "none";
  const dtype = TORCH_DTYPES[name];
  if (dtype) return dtype;
  throw new NijimiError(
    "unsupported",
    `Tensors of type ${name} are not read; accepted: ${Object.values(TORCH_DTYPES).join(", ")}.`,
  );
}
