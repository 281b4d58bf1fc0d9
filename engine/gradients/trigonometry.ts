/** Gradients of trigonometric and hyperbolic functions. At the ends of a domain they are infinite, as PyTorch's are. */

import { unary } from './rule.ts'

export const trigonometry = {
  Sin: unary(({ f }, x, dy) => f.mul(dy, f.cos(x))),
  Cos: unary(({ f }, x, dy) => f.neg(f.mul(dy, f.sin(x)))),
  /** dx = dy·(1 + y²) */
  Tan: unary(({ f }, _, dy, y) => f.mul(dy, f.add(f.mul(y, y), 1))),
  /** dx = dy/√(1 - x²) */
  Asin: unary(({ f }, x, dy) => f.div(dy, f.sqrt(f.sub(1, f.mul(x, x))))),
  Acos: unary(({ f }, x, dy) => f.neg(f.div(dy, f.sqrt(f.sub(1, f.mul(x, x)))))),
  /** dx = dy/(1 + x²) */
  Atan: unary(({ f }, x, dy) => f.div(dy, f.add(f.mul(x, x), 1))),
  Sinh: unary(({ f }, x, dy) => f.mul(dy, f.unary('Cosh', x))),
  Cosh: unary(({ f }, x, dy) => f.mul(dy, f.unary('Sinh', x))),
  /** dx = dy/√(x² + 1) */
  Asinh: unary(({ f }, x, dy) => f.div(dy, f.sqrt(f.add(f.mul(x, x), 1)))),
  /** dx = dy/√(x² - 1) */
  Acosh: unary(({ f }, x, dy) => f.div(dy, f.sqrt(f.sub(f.mul(x, x), 1)))),
  /** dx = dy/(1 - x²) */
  Atanh: unary(({ f }, x, dy) => f.div(dy, f.sub(1, f.mul(x, x)))),
} as const
