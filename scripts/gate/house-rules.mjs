/** ESLint rules of this repository that no package has; eslint.config.js sets their files. */

/** The first line of each file explains it. */
const firstLineSaysWhat = {
  meta: {
    type: 'suggestion',
    schema: [],
    messages: {missing: 'the first line is a short comment: what this file does, and what it leaves to others'},
  },
  create: context => ({
    Program(node) {
      const [first] = context.sourceCode.getAllComments()
      const line = context.sourceCode.lines[0]?.startsWith('#!') ? 2 : 1
      const explains = first !== undefined && (first.loc.start.line === line || first.type === 'Shebang')
      if (!explains) context.report({node, loc: {line: 1, column: 0}, messageId: 'missing'})
    },
  }),
}

/** An exported function has a docstring, unless it is so short that its name and types explain it. */
const shortLines = 6

const exportsAreExplained = {
  meta: {
    type: 'suggestion',
    schema: [],
    messages: {missing: '{{name}} is exported and needs a docstring: what it returns, in which unit, and what it throws'},
  },
  create(context) {
    const explained = node =>
      context.sourceCode.getCommentsBefore(node).some(comment => comment.type === 'Block' && comment.value.startsWith('*'))
    return {
      ExportNamedDeclaration(node) {
        const {declaration} = node
        if (declaration?.type !== 'FunctionDeclaration' || explained(node)) return
        if (declaration.loc.end.line - declaration.loc.start.line < shortLines) return
        // the overloads of a function share the docstring of the first
        const {body} = node.parent
        const before = body[body.indexOf(node) - 1]
        if (before?.declaration?.type === 'TSDeclareFunction') return
        context.report({node, messageId: 'missing', data: {name: declaration.id.name}})
      },
    }
  },
}

/** `f(x, true)` does not explain itself: use an option with a name, or two functions. */
const noBooleanPositions = {
  meta: {
    type: 'suggestion',
    schema: [],
    messages: {named: 'a boolean by position: give it a name in an options object, or make two functions'},
  },
  create(context) {
    const check = node => {
      for (const parameter of node.params) {
        const annotated = parameter.type === 'AssignmentPattern' ? parameter.left : parameter
        if (annotated.typeAnnotation?.typeAnnotation.type === 'TSBooleanKeyword') context.report({node: parameter, messageId: 'named'})
      }
    }
    return {FunctionDeclaration: check, TSDeclareFunction: check}
  },
}

export default {
  rules: {
    'first-line-says-what': firstLineSaysWhat,
    'exports-are-explained': exportsAreExplained,
    'no-boolean-positions': noBooleanPositions,
  },
}
