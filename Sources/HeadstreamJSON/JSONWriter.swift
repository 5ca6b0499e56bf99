package struct JSONWriter {}
