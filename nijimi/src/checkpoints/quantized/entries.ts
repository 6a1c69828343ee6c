/** Quantised weights as entries: integers made of floats when read, floats made of integers when read. */
import { InternalError } from "../../errors.ts";
import type { QuantizedForm } from "../../graph/quantize-weights.ts";
import { toFloat32 } from "../../tensor/convert.ts";
import type { DType } from "../../tensor/dtype.ts";
import {
  blockScales,
  dequantizeBlocks,
  dequantizeChannels,
  dequantizeRows,
  outputScales,
  quantizeBlocks,
  quantizeChannels,
  quantizeRows,
  type QuantizedTensor,
} from "../../tensor/quantize.ts";
import { float32, sizeOf, type Tensor } from "../../tensor/tensor.ts";
import type { Entry, QuantizedEntry } from "../checkpoint.ts";

type F32 = Tensor<"float32">;

/** Dtypes and shapes of what stands for a weight of this shape. */
export function storedShapes(form: QuantizedForm, shape: readonly number[]) {
  const [outputs, inner, ...kernel] = shape;
  if (form.form === "rows") return stored("int8", [sizeOf(kernel) * inner, outputs], [outputs]);
  if (form.form === "channels") return stored("int8", shape, [outputs]);
  if (form.form === "halves") throw new InternalError("halves are stored as they are");
  const blocks = Math.ceil(inner / form.blockSize);
  const bytes = (form.blockSize * form.bits) / 8;
  return stored("uint8", [outputs, blocks, bytes], [outputs, blocks]);
}

function stored(dtype: DType, values: readonly number[], scale: readonly number[]) {
  return {
    values: { dtype, shape: values },
    scale: { dtype: "float32" as const, shape: scale },
  };
}

/** An entry of integers that are made when they are read. */
export function quantizedEntry(entry: Entry, form: QuantizedForm): Entry {
  const { values, scale } = storedShapes(form, entry.shape);
  const weight = async (): Promise<F32> => float32(entry.shape, toFloat32(await entry.read()));
  return withFloats(entry.shape, {
    form,
    values: { ...values, read: async () => quantize(await weight(), form).values },
    scale: { ...scale, read: async () => scalesOf(await weight(), form) },
  });
}

/** An entry whose integers are there; as floats it is what they stand for. */
export function withFloats(shape: readonly number[], quantized: QuantizedEntry): Entry {
  const { form, values, scale } = quantized;
  return {
    dtype: "float32",
    shape,
    quantization: form.form === "blocks" ? `int${form.bits}` : "int8",
    quantized,
    read: async () =>
      dequantize(
        { values: await values.read(), scale: await scale.read() } as QuantizedTensor,
        form,
        shape,
      ),
  };
}

function quantize(weight: F32, form: QuantizedForm): QuantizedTensor {
  if (form.form === "rows") return quantizeRows(weight);
  if (form.form === "blocks") return quantizeBlocks(weight, form);
  return quantizeChannels(weight);
}

function scalesOf(weight: F32, form: QuantizedForm): F32 {
  return form.form === "blocks" ? blockScales(weight, form) : outputScales(weight);
}

function dequantize(values: QuantizedTensor, form: QuantizedForm, shape: readonly number[]): F32 {
  if (form.form === "rows") return dequantizeRows(values, shape);
  if (form.form === "blocks") return dequantizeBlocks(values, form, shape);
  return dequantizeChannels(values);
}
