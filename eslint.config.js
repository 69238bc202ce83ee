/** What ESLint holds the code to: types used strictly, the laws of the house, and limits loose enough to leave a good function whole. */
import tseslint from 'typescript-eslint'
import house from './scripts/gate/house-rules.mjs'

const pureRooms = ['model', 'xds', 'pki', 'envoy', 'manifest', 'check'].map(room => `src/lib/${room}/**/*.ts`)
const impure = 'this room is pure: time, randomness and the world come in as arguments'
const withoutTheWorld = [
  {selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: impure},
  {selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']", message: impure},
  {selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']", message: impure},
]
const worldly = ['process', 'console', 'performance', 'fetch', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']
const defaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'a name for everything: only commands have a default export, for oclif',
}

/** A function that opens something holds its closures, so it is as long as they are together. */
const limits = {
  complexity: ['error', 20],
  'max-lines': ['error', {max: 300, skipBlankLines: true, skipComments: true}],
  'max-lines-per-function': ['error', {max: 120, skipBlankLines: true, skipComments: true}],
  'max-params': ['error', 5],
}
const habits = {
  eqeqeq: 'error',
  'no-var': 'error',
  'no-console': 'error',
  'no-param-reassign': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
  'prefer-template': 'error',
  'no-warning-comments': 'error',
}

export default tseslint.config(
  {ignores: ['dist/', 'src/gen/', 'node_modules/', 'coverage/']},
  {linterOptions: {reportUnusedDisableDirectives: 'error'}, plugins: {house}},
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {parserOptions: {project: ['./tsconfig.json', './tsconfig.test.json'], tsconfigRootDir: import.meta.dirname}},
    rules: {
      ...limits,
      ...habits,
      'house/no-boolean-positions': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', {fixStyle: 'inline-type-imports'}],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', {considerDefaultExhaustiveForUnions: true}],
      // a number or an address reads well in a template as it is
      '@typescript-eslint/restrict-template-expressions': ['error', {allowNumber: true, allowBoolean: true}],
      '@typescript-eslint/no-confusing-void-expression': ['error', {ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true}],
      // settings that come with index signatures are written as the compiler option wants them
      '@typescript-eslint/dot-notation': ['error', {allowIndexSignaturePropertyAccess: true}],
      '@typescript-eslint/no-unused-vars': ['error', {ignoreRestSiblings: true}],
      // asn1 numbers are numbers; a type parameter may say what a caller wants back; both ways to write an array read well
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/array-type': 'off',
      // the other rule forbids what this one proposes
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // an async function without await keeps a port's promise
      '@typescript-eslint/require-await': 'off',
      // the house has closures, not classes: a method has no this to lose
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', defaultExport],
      'house/first-line-says-what': 'error',
      'house/exports-are-explained': 'error',
    },
  },
  {files: ['src/commands/**/*.ts'], rules: {'no-restricted-syntax': 'off'}},
  {
    files: pureRooms,
    rules: {
      'no-restricted-syntax': ['error', defaultExport, ...withoutTheWorld],
      'no-restricted-globals': ['error', ...worldly.map(name => ({name, message: impure}))],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // a describe is as long as its cases are many, and chai asserts with expressions
      'max-lines-per-function': 'off',
      complexity: 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      'max-lines': ['error', {max: 400, skipBlankLines: true, skipComments: true}],
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {files: ['bench/**/*.ts'], rules: {'no-console': 'off'}},
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    extends: [tseslint.configs.strict, tseslint.configs.stylistic],
    rules: {
      ...limits,
      ...habits,
      'house/first-line-says-what': 'error',
      '@typescript-eslint/no-unused-vars': ['error', {ignoreRestSiblings: true}],
    },
  },
  {files: ['**/*.cjs'], rules: {'@typescript-eslint/no-require-imports': 'off'}},
)
