;; Exports a handler of the right name with a function of another type.
(component
  (core module $code
    (func (export "handle") (result i32) (i32.const 42)))
  (core instance $instance (instantiate $code))
  (func $handle (result s32) (canon lift (core func $instance "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
