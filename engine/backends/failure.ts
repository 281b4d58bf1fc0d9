/**
 * Turns what onnxruntime throws into a `SwarmError`. The runtime throws plain `Error`s whose code is only in the text,
 * so this file is a table of texts; the test suite provokes each on every backend, because wording changes between
 * releases (these are 1.30's).
 */
import { type ErrorCode, SwarmError } from '../../protocols/core/errors.ts'
import type { BackendName } from './backend.ts'

interface Symptom {
  pattern: RegExp
  code: ErrorCode
  hint: string
}

const symptoms: readonly Symptom[] = [
  {
    // Dawn's words for a device that was destroyed, reset by its driver, or taken away; the last two are for results
    // that were on their way back.
    pattern:
      /device (was|is) lost|device was destroyed|device_lost|failed to download data from buffer|unmapped before mapping/i,
    code: 'DEVICE_LOST',
    hint: 'Open the model again; if it happens again, use the wasm backend.',
  },
  {
    pattern: /assigned to the default CPU EP, but fallback/i,
    code: 'MODEL_UNSUPPORTED',
    hint: 'Use the wasm or native backend: WebGPU has no kernel for one of the operators.',
  },
  {
    // The arena of the native build; C++ new; emscripten's heap; the engine's ArrayBuffers; wasm's 4 GiB check.
    pattern:
      /(failed to|could not) allocate memory|bad_alloc|out of memory|cannot enlarge memory|buffer allocation failed|shape is too large/i,
    code: 'OUT_OF_MEMORY',
    hint: 'Use a smaller batch or a smaller model, or close other programs.',
  },
  {
    // A buffer that the device did not give, found when it is bound; one over the device's limits; a tensor with more
    // elements, or in more pieces, than a shader can count.
    pattern:
      /\[invalid buffer|max buffer size limit|narrowing_error|integer overflow|too many storage buffers/i,
    code: 'OUT_OF_MEMORY',
    hint: 'Use a smaller batch or a smaller model, or close other programs.',
  },
  {
    pattern: /no op registered for|not implemented|could not find an implementation/i,
    code: 'MODEL_UNSUPPORTED',
    hint: 'Export the model with standard ONNX operators (opset 11 to 26).',
  },
  {
    pattern: /protobuf parsing failed|invalid model|invalid graph|unsupported model ir version|type error:/i,
    code: 'MODEL_INVALID',
    hint: 'Export the model again and check it with onnx.checker.',
  },
]

const otherwise = {
  code: 'BACKEND_FAILED',
  hint: 'Try another backend (--backend wasm); if the model fails there too, it is at fault.',
} as const

/**
 * The coded error for `error`, thrown by backend `name` while `doing` ("loading the model", "running the graph"). Names
 * operator and node when the runtime's text does.
 */
export function backendFailure(name: BackendName, doing: string, error: unknown): SwarmError {
  const text = error instanceof Error ? error.message : String(error)
  const symptom = symptoms.find(({ pattern }) => pattern.test(text)) ?? otherwise
  const node = nodeIn(text)
  const where = node === undefined ? '' : ` at ${node}`
  return new SwarmError(symptom.code, `${name} backend failed while ${doing}${where}: ${firstLine(text)}`, {
    hint: symptom.hint,
    cause: error,
  })
}

function nodeIn(text: string): string | undefined {
  const running = /while running (\S+) node\. Name:'([^']*)'/.exec(text)
  if (running) return `${running[1]} node '${running[2]}'`
  const loading = /In Node, \("([^"]*)", (\w+),/.exec(text)
  return loading ? `${loading[2]} node '${loading[1]}'` : undefined
}

/** Without the build machine's paths and the C++ signature, which say nothing to the reader. */
function firstLine(text: string): string {
  const line = text.split('\n', 1)[0] ?? ''
  return line.replace(/\/\S*onnxruntime\/core\/\S+:\d+ /, '').slice(0, 400)
}
