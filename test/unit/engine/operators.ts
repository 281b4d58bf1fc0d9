/** Operators by what they take, for tests that go through all of them. */

/** Of one input: functions of any real number, with their attributes' defaults. */
export const unaryOperators = [
  ...['Neg', 'Abs', 'Tanh', 'Sigmoid', 'Erf', 'Sin', 'Cos', 'Atan', 'Asinh', 'Relu', 'LeakyRelu', 'Elu'],
  ...['Selu', 'Celu', 'Softplus', 'Softsign', 'HardSigmoid', 'HardSwish', 'Mish', 'ThresholdedRelu'],
  ...['Shrink', 'Sum'], // of one value, itself
]

/** As these, and growing so fast that they are given small numbers only. */
export const exponentialOperators = ['Exp', 'Sinh', 'Cosh']

/** Of inputs that broadcast. */
export const broadcastingOperators = ['Add', 'Sub', 'Mul', 'Max', 'Min', 'Sum', 'Mean']

/** Of an input and axes; defined for any numbers. */
export const reductionOperators = [
  ...['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceSumSquare', 'ReduceL1', 'ReduceProd'],
  ...['ReduceLogSumExp', 'ReduceL2'],
]
